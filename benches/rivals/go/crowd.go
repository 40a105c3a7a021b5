package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
)

// crowd measures goroutines that wait for one channel to be closed: the same
// laps as program::crowd has for the others.
func crowd(count int) error {
	if count < 1 {
		return errors.New("a crowd needs a count")
	}
	empty, err := residentKiB()
	if err != nil {
		return err
	}
	lap := func(name string, since time.Time) {
		microseconds := float64(time.Since(since).Nanoseconds()) / 1e3
		fmt.Println("result", name, microseconds/float64(count))
	}

	since := time.Now()
	var come, left sync.WaitGroup
	come.Add(count)
	left.Add(count)
	open := make(chan struct{})
	for i := 0; i < count; i++ {
		go func() {
			come.Done()
			<-open
			left.Done()
		}()
	}
	come.Wait()
	lap("start", since)
	full, err := residentKiB()
	if err != nil {
		return err
	}
	fmt.Println("result resident", (full-empty)/float64(count))

	since = time.Now()
	close(open)
	left.Wait()
	lap("wake", since)

	since = time.Now()
	for i := 0; i < count; i++ {
		ended := make(chan struct{})
		go func() { close(ended) }()
		<-ended
	}
	lap("again", since)
	return nil
}

// residentKiB is the physical memory that this process holds.
func residentKiB() (float64, error) {
	rollup, err := os.Open("/proc/self/smaps_rollup")
	if err != nil {
		return 0, err
	}
	defer rollup.Close()
	lines := bufio.NewScanner(rollup)
	for lines.Scan() {
		if line := lines.Text(); strings.HasPrefix(line, "Rss:") {
			var kib float64
			_, err := fmt.Sscan(strings.TrimPrefix(line, "Rss:"), &kib)
			return kib, err
		}
	}
	return 0, errors.New("no Rss in smaps_rollup")
}
