/* Stands between a process and its disk: fails a chosen sync, and keeps a copy of whatever was synced.
 *
 * Loaded with LD_PRELOAD. All of it concerns files directly in the directory SHIM_ROOT.
 *   SHIM_FAIL    "<end of name>:<n>": the n-th sync of a file whose name ends so fails with EIO; later ones succeed,
 *                as on a real system, where the pages that could not be written are clean from then on.
 *   SHIM_SYNCED  a directory: after each successful sync of a file its content is copied there under its inode number;
 *                after each sync of SHIM_ROOT itself its names and inodes are listed there in "names".
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;
static int seen;

static int name_of(int fd, char *path, size_t size) {
    char link[64];
    const char *root = getenv("SHIM_ROOT");
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, size - 1);
    if (root == NULL || length < 0) return 0;
    path[length] = 0;
    return strncmp(path, root, strlen(root)) == 0;
}

static int must_fail(const char *path) {
    const char *rule = getenv("SHIM_FAIL");
    const char *colon = rule ? strrchr(rule, ':') : NULL;
    if (colon == NULL) return 0;
    size_t end = (size_t)(colon - rule), length = strlen(path);
    if (length < end || strncmp(path + length - end, rule, end) != 0) return 0;
    return ++seen == atoi(colon + 1);
}

static void keep_file(int fd, ino_t inode, const char *synced) {
    char part[4200], whole[4200], buffer[65536];
    snprintf(part, sizeof part, "%s/part", synced);
    snprintf(whole, sizeof whole, "%s/%lu", synced, (unsigned long)inode);
    char again[64];
    snprintf(again, sizeof again, "/proc/self/fd/%d", fd);
    int from = open(again, O_RDONLY), to = open(part, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    off_t offset = 0;
    ssize_t count;
    while ((count = pread(from, buffer, sizeof buffer, offset)) > 0) {
        if (write(to, buffer, (size_t)count) != count) abort();
        offset += count;
    }
    close(from);
    close(to);
    rename(part, whole);
}

static void keep_names(const char *path, const char *synced) {
    char part[4200], whole[4200];
    snprintf(part, sizeof part, "%s/part", synced);
    snprintf(whole, sizeof whole, "%s/names", synced);
    FILE *list = fopen(part, "w");
    DIR *directory = opendir(path);
    struct dirent *entry;
    while ((entry = readdir(directory)) != NULL)
        if (entry->d_name[0] != '.') fprintf(list, "%s %lu\n", entry->d_name, (unsigned long)entry->d_ino);
    closedir(directory);
    fclose(list);
    rename(part, whole);
}

static int sync_with(const char *function, int fd) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, function);
    char path[4096];
    if (!name_of(fd, path, sizeof path)) return real(fd);
    pthread_mutex_lock(&guard);
    int result = must_fail(path) ? -1 : real(fd);
    const char *synced = getenv("SHIM_SYNCED");
    struct stat about;
    if (result == 0 && synced != NULL && fstat(fd, &about) == 0) {
        if (S_ISREG(about.st_mode)) keep_file(fd, about.st_ino, synced);
        else if (strcmp(path, getenv("SHIM_ROOT")) == 0) keep_names(path, synced);
    }
    pthread_mutex_unlock(&guard);
    if (result != 0) errno = EIO;
    return result;
}

int fsync(int fd) { return sync_with("fsync", fd); }

int fdatasync(int fd) { return sync_with("fdatasync", fd); }
