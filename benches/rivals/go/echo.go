package main

import (
	"fmt"
	"net"
)

// Bytes of the read buffer in every echo server.
const buffer = 1024

// echo serves with a goroutine a connection. Go's sockets have TCP_NODELAY.
func echo() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println("listening", listener.Addr())
	for {
		connection, err := listener.Accept()
		if err != nil {
			return err
		}
		go serve(connection)
	}
}

func serve(connection net.Conn) {
	defer connection.Close()
	bytes := make([]byte, buffer)
	for {
		length, err := connection.Read(bytes)
		if err != nil {
			return
		}
		if _, err := connection.Write(bytes[:length]); err != nil {
			return
		}
	}
}
