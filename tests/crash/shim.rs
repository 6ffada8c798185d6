//! A preloaded library with which a test can make the server's system calls fail, or kill it there.

use std::path::{Path, PathBuf};

use crate::privilege::output;

/// Controlled by environment variables:
///
/// - `SHIM_NO_SYNC`: `fdatasync` and `fsync` do nothing (syncing a key file would also flush the store's bytes).
/// - `SHIM_FULL`: while a file of this name exists, writes to files called `db` fail with a full disk.
/// - `SHIM_FOLDER`, `SHIM_CALLS`, `SHIM_WHEN`, `SHIM_THEN`, `SHIM_MARK`: of these calls (`,write,rename,`) in this
///   folder, the n-th fails (`EIO`) or kills the process (`KILL`), and creates the mark, a file.
pub fn shim(folder: &Path) -> PathBuf {
    let (source, library) = (folder.join("shim.c"), folder.join("shim.so"));
    std::fs::write(&source, SOURCE).unwrap();
    let args = ["-shared", "-fPIC", "-O1", "-o", library.to_str().unwrap(), source.to_str().unwrap(), "-ldl"];
    output("gcc", args);
    library
}

const SOURCE: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define REAL(type, name, ...) ((type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name))

static void path_of(int fd, char *path, size_t size) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, size - 1);
    path[n < 0 ? 0 : n] = 0;
}

/* Whether this call is the one that must fail. */
static int hit(const char *call, const char *path) {
    static atomic_long calls;
    const char *folder = getenv("SHIM_FOLDER");
    if (!folder || strncmp(path, folder, strlen(folder)) != 0) return 0;
    char listed[64];
    snprintf(listed, sizeof listed, ",%s,", call);
    if (!strstr(getenv("SHIM_CALLS"), listed)) return 0;
    if (atomic_fetch_add(&calls, 1) + 1 != atol(getenv("SHIM_WHEN"))) return 0;
    int mark = syscall(SYS_openat, AT_FDCWD, getenv("SHIM_MARK"), O_WRONLY | O_CREAT, 0600);
    syscall(SYS_close, mark);
    if (strcmp(getenv("SHIM_THEN"), "KILL") == 0) kill(getpid(), SIGKILL);
    errno = EIO;
    return 1;
}

static int hit_fd(const char *call, int fd) {
    if (!getenv("SHIM_FOLDER")) return 0;
    char path[4096];
    path_of(fd, path, sizeof path);
    return hit(call, path);
}

static int full(int fd) {
    const char *flag = getenv("SHIM_FULL");
    if (!flag || access(flag, F_OK) != 0) return 0;
    char path[4096];
    path_of(fd, path, sizeof path);
    size_t n = strlen(path);
    return n > 3 && strcmp(path + n - 3, "/db") == 0;
}

int fdatasync(int fd) {
    if (getenv("SHIM_NO_SYNC")) return 0;
    return hit_fd("fdatasync", fd) ? -1 : REAL(int, fdatasync, int)(fd);
}
int fsync(int fd) {
    if (getenv("SHIM_NO_SYNC")) return 0;
    return hit_fd("fsync", fd) ? -1 : REAL(int, fsync, int)(fd);
}
int sync_file_range(int fd, off64_t at, off64_t n, unsigned flags) {
    if (hit_fd("sync_file_range", fd)) return -1;
    return REAL(int, sync_file_range, int, off64_t, off64_t, unsigned)(fd, at, n, flags);
}
ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t at) {
    if (full(fd)) { errno = ENOSPC; return -1; }
    if (hit_fd("pwrite", fd)) return -1;
    return REAL(ssize_t, pwrite64, int, const void *, size_t, off64_t)(fd, bytes, n, at);
}
ssize_t pwrite(int fd, const void *bytes, size_t n, off_t at) { return pwrite64(fd, bytes, n, at); }
ssize_t write(int fd, const void *bytes, size_t n) {
    return hit_fd("write", fd) ? -1 : REAL(ssize_t, write, int, const void *, size_t)(fd, bytes, n);
}
int ftruncate64(int fd, off64_t n) {
    return hit_fd("ftruncate", fd) ? -1 : REAL(int, ftruncate64, int, off64_t)(fd, n);
}
int rename(const char *from, const char *to) {
    return hit("rename", from) ? -1 : REAL(int, rename, const char *, const char *)(from, to);
}
int unlink(const char *path) { return hit("unlink", path) ? -1 : REAL(int, unlink, const char *)(path); }
int mkdir(const char *path, mode_t mode) {
    return hit("mkdir", path) ? -1 : REAL(int, mkdir, const char *, mode_t)(path, mode);
}
int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    return hit("open", path) ? -1 : REAL(int, open64, const char *, int, ...)(path, flags, mode);
}
"#;
