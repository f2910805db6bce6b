package demo

import (
	"os"
	"syscall"
	"time"
)

// firstTouch is how many seconds a GB takes that is used for the first time, over the 6 GB that an import of 32 million people
// uses (or half of what is free); 0 where it cannot be had. Some hosts of virtual machines take memory back that is free: then it
// takes ten times as long as elsewhere, and an import measures the host.
func firstTouch() float64 {
	var info syscall.Sysinfo_t
	if syscall.Sysinfo(&info) != nil {
		return 0
	}
	size := min(6<<30, int(info.Freeram)*int(info.Unit)/2)
	b, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return 0
	}
	began := time.Now()
	for at := 0; at < len(b); at += os.Getpagesize() {
		b[at] = 1
	}
	took := time.Since(began)
	if syscall.Munmap(b) != nil {
		return 0
	}
	return took.Seconds() / (float64(size) / (1 << 30))
}
