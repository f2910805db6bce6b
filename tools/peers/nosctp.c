/* Loaded before osmo-msc where the kernel has no SCTP: its other interfaces, which no test uses, get TCP instead. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netinet/in.h>
#include <sys/socket.h>

int socket(int domain, int type, int protocol)
{
	int (*next)(int, int, int) = dlsym(RTLD_NEXT, "socket");
	return next(domain, type, protocol == IPPROTO_SCTP ? 0 : protocol);
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
	int (*next)(int, int, int, const void *, socklen_t) = dlsym(RTLD_NEXT, "setsockopt");
	return level == IPPROTO_SCTP ? 0 : next(fd, level, name, value, size);
}

int sctp_bindx(int fd, struct sockaddr *address, int count, int flags)
{
	(void)count;
	(void)flags;
	return bind(fd, address, sizeof(struct sockaddr_in));
}
