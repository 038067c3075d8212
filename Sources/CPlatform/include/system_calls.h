#ifndef CPLATFORM_SYSTEM_CALLS_H
#define CPLATFORM_SYSTEM_CALLS_H
/* System calls whose declarations hide behind _GNU_SOURCE, or are macros, so that Swift cannot
   call them by itself. Each returns what the call returns and leaves errno as the call does. */
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define PLATFORM_EPOLLIN 0x001u
#define PLATFORM_EPOLLOUT 0x004u
#define PLATFORM_EPOLLERR 0x008u
#define PLATFORM_EPOLLHUP 0x010u
#define PLATFORM_EPOLLRDHUP 0x2000u

/* accept4 with SOCK_NONBLOCK and SOCK_CLOEXEC. */
int platform_accept(int listener, struct sockaddr *address, socklen_t *length);
/* preadv2 of one buffer with RWF_NOWAIT: EAGAIN when the bytes are not in the page cache. */
ssize_t platform_pread_nowait(int fd, void *buffer, size_t count, off_t offset);
/* Bytes of the range whose pages are in the page cache, rounded to pages; -1 where the kernel
   (before 6.5) cannot say without reading. */
int64_t platform_cached_bytes(int fd, uint64_t offset, uint64_t length);
/* fallocate; keeps the file's size when keep_size is not 0. */
int platform_fallocate(int fd, int keep_size, off_t offset, off_t length);
/* open with a mode, which is variadic in C. */
int platform_open(const char *path, int flags, unsigned mode);
/* fcntl(F_SETFL, O_NONBLOCK). */
int platform_set_nonblocking(int fd);
/* An exclusive lock on an open file, without waiting (flock). */
int platform_try_lock(int fd);
/* posix_spawn file action chdir, where the C library has it; ENOSYS elsewhere. */
/* Sets how large the files of a process may become; 0, or -1 with errno. */
int platform_limit_file_size(int process, uint64_t bytes);

int platform_spawn_addchdir(posix_spawn_file_actions_t *actions, const char *path);
/* What WIFEXITED and its kin say: exit status, or 128 + signal. */
int platform_exit_status(int wait_status);
/* The thread's name as ps and gdb show it; cut to 15 bytes. */
void platform_name_thread(const char *name);
/* The cycle of getrandom; returns bytes filled. */
ssize_t platform_random(void *buffer, size_t count);
/* The name of an errno value in words, written into the caller's buffer. */
const char *platform_error_text(int code, char *buffer, size_t count);
/* Bytes of memory in use by this process's C heap arenas. */
size_t platform_heap_bytes(void);
/* The environment: NAME=value strings, then a null. */
char **platform_environment(void);
#endif
