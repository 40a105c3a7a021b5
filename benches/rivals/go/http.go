package main

import (
	"fmt"
	"net"
	"net/http"
)

// page is the body of the page that every HTTP server has.
const page = "Hello, world!"

// serveHTTP answers by net/http, which has a goroutine for each connection.
func serveHTTP() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println("listening", listener.Addr())
	return http.Serve(listener, http.HandlerFunc(answer))
}

func answer(to http.ResponseWriter, request *http.Request) {
	to.Header().Set("Content-Type", "text/plain")
	if request.Method != http.MethodGet || request.URL.Path != "/hello" {
		to.WriteHeader(http.StatusNotFound)
		return
	}
	fmt.Fprint(to, page)
}
