package usher_test

import (
	"crypto/tls"
	"log"
	"net/http"

	"github.com/usher-http/usher"
)

func ExampleGuard() {
	mux := http.NewServeMux()
	base := &tls.Config{MinVersion: tls.VersionTLS12}

	var guard usher.Guard // the zero Guard applies the certificate rule
	srv := &http.Server{
		Addr:        ":8443",
		Handler:     guard.Handler(mux),    // serves, or answers 421, 400, ...
		TLSConfig:   guard.TLSConfig(base), // records the certificate that was chosen; binds session tickets
		ConnContext: guard.ConnContext,
	}
	log.Fatal(guard.ListenAndServeTLS(srv, "cert.pem", "key.pem"))
}

func ExampleNew() {
	var cert tls.Certificate // of shop.example.com and staff.example.com
	guard, err := usher.New(usher.Config{
		Sites: []usher.Site{
			{Hosts: []string{"shop.example.com", "*.shop.example.com"}, Certificates: []tls.Certificate{cert}},
			{Hosts: []string{"staff.example.com"}, Certificates: []tls.Certificate{cert}, ClientAuth: usher.Require, ClientCAs: nil},
		},
		DefaultSite: "shop.example.com",
	})
	if err != nil {
		log.Fatal(err) // here: the certificate is empty, and ClientCAs are missing
	}
	srv := &http.Server{Handler: guard.Handler(http.DefaultServeMux)}
	log.Fatal(guard.ListenAndServeTLS(srv, "", ""))
}
