// The measured program on goroutines: `go-program echo`, `go-program http`, `go-program crowd COUNT`.
// Whoever starts it has pinned it and given it its priority; see src/workloads/go.rs.
package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Println("failed", err)
		fmt.Fprintln(os.Stderr, "go-program:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	switch {
	case len(arguments) == 1 && arguments[0] == "echo":
		return echo()
	case len(arguments) == 1 && arguments[0] == "http":
		return serveHTTP()
	case len(arguments) == 2 && arguments[0] == "crowd":
		count, err := strconv.Atoi(arguments[1])
		if err != nil {
			return err
		}
		return crowd(count)
	}
	return errors.New("usage: go-program echo | go-program http | go-program crowd COUNT")
}
