// Package tcpio reads and writes TCP sockets at less cost than [net.Conn] does, where no waiting is needed: a call of the system that
// returns at once is made without telling the scheduler, which would look after it all the time, and give the processor to another thread
// when the kernel works for longer than a moment. What has to wait waits in the usual way, within the deadlines of the connection.
package tcpio
