#define _GNU_SOURCE
#include "system_calls.h"
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

int platform_accept(int listener, struct sockaddr *address, socklen_t *length) {
  return accept4(listener, address, length, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

ssize_t platform_pread_nowait(int fd, void *buffer, size_t count, off_t offset) {
  struct iovec part = {.iov_base = buffer, .iov_len = count};
  return preadv2(fd, &part, 1, offset, RWF_NOWAIT);
}

int64_t platform_cached_bytes(int fd, uint64_t offset, uint64_t length) {
#ifdef __NR_cachestat
  const long number = __NR_cachestat;
#else
  const long number = 451; /* the same on every architecture */
#endif
  struct { uint64_t offset, length; } range = {offset, length};
  struct { uint64_t cached, dirty, writeback, evicted, recently_evicted; } pages = {0};
  if (syscall(number, fd, &range, &pages, 0) != 0) return -1;
  return (int64_t)(pages.cached * (uint64_t)sysconf(_SC_PAGESIZE));
}

int platform_fallocate(int fd, int keep_size, off_t offset, off_t length) {
  return fallocate(fd, keep_size ? FALLOC_FL_KEEP_SIZE : 0, offset, length);
}

int platform_open(const char *path, int flags, unsigned mode) {
  return open(path, flags | O_CLOEXEC, (mode_t)mode);
}

int platform_set_nonblocking(int fd) {
  int flags = fcntl(fd, F_GETFL, 0);
  if (flags < 0) return -1;
  return fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

int platform_try_lock(int fd) { return flock(fd, LOCK_EX | LOCK_NB); }

int platform_limit_file_size(int process, uint64_t bytes) {
  struct rlimit limit;
  if (prlimit(process, RLIMIT_FSIZE, NULL, &limit) != 0) return -1;
  limit.rlim_cur = bytes < limit.rlim_max ? (rlim_t)bytes : limit.rlim_max;
  return prlimit(process, RLIMIT_FSIZE, &limit, NULL);
}

int platform_spawn_addchdir(posix_spawn_file_actions_t *actions, const char *path) {
#if defined(__GLIBC__) && (__GLIBC__ > 2 || (__GLIBC__ == 2 && __GLIBC_MINOR__ >= 29))
  return posix_spawn_file_actions_addchdir_np(actions, path);
#else
  (void)actions;
  (void)path;
  return ENOSYS;
#endif
}

int platform_exit_status(int wait_status) {
  if (WIFEXITED(wait_status)) return WEXITSTATUS(wait_status);
  if (WIFSIGNALED(wait_status)) return 128 + WTERMSIG(wait_status);
  return -1;
}

void platform_name_thread(const char *name) {
  char cut[16];
  strncpy(cut, name, sizeof cut - 1);
  cut[sizeof cut - 1] = 0;
  pthread_setname_np(pthread_self(), cut);
}

ssize_t platform_random(void *buffer, size_t count) {
  size_t filled = 0;
  while (filled < count) {
    ssize_t got = getrandom((char *)buffer + filled, count - filled, 0);
    if (got < 0) {
      if (errno == EINTR) continue;
      return -1;
    }
    filled += (size_t)got;
  }
  return (ssize_t)filled;
}

const char *platform_error_text(int code, char *buffer, size_t count) {
  return strerror_r(code, buffer, count);
}

size_t platform_heap_bytes(void) {
#if defined(__GLIBC__) && (__GLIBC__ > 2 || (__GLIBC__ == 2 && __GLIBC_MINOR__ >= 33))
  struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
#else
  return 0;
#endif
}

char **platform_environment(void) { return environ; }
