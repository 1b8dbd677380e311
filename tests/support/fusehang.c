// SPDX-License-Identifier: Apache-2.0
// Mounts a FUSE file system whose files never answer: a name is found and looks like a file of 1 MiB, but the
// OPEN that follows (or, with "lookup", already the LOOKUP) gets no reply. Speaks to /dev/fuse itself; needs
// root. Prints "ready" once mounted and "waiting" when a request hangs; unmounts and ends when standard input
// closes.
//
// A request that hangs is not even read: for one that the file system has taken, the kernel keeps the caller
// from dying until there is an answer (fs/fuse/dev.c, request_wait_answer), so nothing could be asked of the
// caller's end.
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static int device;

static void reply(uint64_t unique, int error, const void* data, size_t size) {
    struct fuse_out_header header = {
        .len = (uint32_t)(sizeof header + size), .error = error, .unique = unique};
    struct iovec parts[2] = {{&header, sizeof header}, {(void*)data, size}};
    if (writev(device, parts, 2) < 0)
        perror("fusehang: reply");
}

static struct fuse_attr attributes(uint64_t inode) {
    struct fuse_attr a = {.ino = inode, .nlink = 1, .blksize = 4096};
    a.mode = inode == FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0644;
    a.size = inode == FUSE_ROOT_ID ? 0 : 1 << 20;
    return a;
}

// Answers one request; true when what comes next is to hang.
static bool serve(const struct fuse_in_header* in, bool hang_at_lookup) {
    switch (in->opcode) {
    case FUSE_INIT: {
        struct fuse_init_out out = {.major = FUSE_KERNEL_VERSION,
                                    .minor = 31,
                                    .max_write = 4096,
                                    .max_background = 64,
                                    .congestion_threshold = 48};
        reply(in->unique, 0, &out, sizeof out);
        return hang_at_lookup;
    }
    case FUSE_LOOKUP: {
        struct fuse_entry_out out = {
            .nodeid = 2, .entry_valid = 1000, .attr_valid = 1000, .attr = attributes(2)};
        reply(in->unique, 0, &out, sizeof out);
        return true;
    }
    case FUSE_GETATTR: {
        struct fuse_attr_out out = {.attr_valid = 1000, .attr = attributes(in->nodeid)};
        reply(in->unique, 0, &out, sizeof out);
        return false;
    }
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT:
        return false;
    default:
        reply(in->unique, -ENOSYS, NULL, 0);
        return false;
    }
}

int main(int argc, char** argv) {
    if (argc < 2) {
        fprintf(stderr, "usage: fusehang FOLDER [lookup]\n");
        return 1;
    }
    device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    char options[128];
    snprintf(options, sizeof options, "fd=%d,rootmode=40755,user_id=0,group_id=0,allow_other", device);
    if (device < 0 || mount("fusehang", argv[1], "fuse", MS_NOSUID | MS_NODEV, options) < 0) {
        perror("fusehang: mount");
        return 77;
    }
    puts("ready");
    fflush(stdout);
    static _Alignas(8) char buffer[1 << 17];
    struct pollfd waits[2] = {{device, POLLIN, 0}, {STDIN_FILENO, POLLIN | POLLHUP, 0}};
    bool hanging = false;
    while (poll(waits, 2, -1) > 0 || errno == EINTR) {
        if (waits[1].revents)
            break;
        if (!waits[0].revents)
            continue;
        if (hanging) {
            puts("waiting");
            fflush(stdout);
            waits[0].fd = -1; // it stays there
            waits[0].revents = 0;
            continue;
        }
        ssize_t n = read(device, buffer, sizeof buffer);
        if (n < 0 && (errno == EINTR || errno == ENOENT || errno == EAGAIN))
            continue;
        if (n < 0)
            break;
        hanging = serve((struct fuse_in_header*)buffer, argc > 2);
    }
    umount2(argv[1], MNT_DETACH);
    close(device); // ends the connection: every hanging call returns with an error
    return 0;
}
