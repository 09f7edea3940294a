// Package web shows the guide in a browser and gives it to programs: a list with a search, a page for each status code, a JSON
// API, and addresses that answer with any status, for testing clients. [New] serves it; [Export] writes the pages as files.
//
// The pages work without JavaScript and ask nobody else for anything.
package web
