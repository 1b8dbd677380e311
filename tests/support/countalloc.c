// SPDX-License-Identifier: Apache-2.0
// A library to preload: counts what a process asks of the heap and of the address space, by kind, in a file
// named by OUTPORT_COUNTALLOC that another process maps (or reads) at any time. Counts the daemon and its
// plugins alike, in whatever language, since it stands in front of the C library. All of it may run in any
// thread.
#undef _FILE_OFFSET_BITS // each name as it is called, not the one that it would be renamed to
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

// The C library's own names for them, so that nothing has to be looked up before the first call.
extern void* __libc_malloc(size_t);
extern void* __libc_calloc(size_t, size_t);
extern void* __libc_realloc(void*, size_t);
extern void* __libc_memalign(size_t, size_t);
extern void __libc_free(void*);

// The order in the file; daemon-side readers know it by these positions. LIVE is how many blocks there are.
enum { MALLOC, CALLOC, REALLOC, ALIGNED, MMAP, BRK, LIVE, KINDS };

static _Atomic uint64_t early[KINDS]; // until the file is mapped, or where none is asked for
static _Atomic uint64_t* _Atomic counts = early;

__attribute__((constructor)) static void open_counts(void) {
    const char* path = getenv("OUTPORT_COUNTALLOC");
    if (!path)
        return;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    if (ftruncate(fd, sizeof early) == 0) {
        void* mapped =
            (void*)syscall(SYS_mmap, NULL, sizeof early, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (mapped != MAP_FAILED)
            counts = mapped;
    }
    close(fd);
}

static void add(int kind, uint64_t n) {
    _Atomic uint64_t* table = atomic_load_explicit(&counts, memory_order_relaxed);
    atomic_fetch_add_explicit(&table[kind], n, memory_order_relaxed);
}

static void count(int kind) {
    add(kind, 1);
}

static void* counted(int kind, void* made) {
    count(kind);
    if (made)
        count(LIVE);
    return made;
}

void* malloc(size_t size) {
    return counted(MALLOC, __libc_malloc(size));
}

void* calloc(size_t n, size_t size) {
    return counted(CALLOC, __libc_calloc(n, size));
}

void* realloc(void* old, size_t size) {
    if (!old)
        return counted(REALLOC, __libc_realloc(old, size));
    count(REALLOC);
    if (!size)
        add(LIVE, (uint64_t)-1); // the C library takes it as free()
    return __libc_realloc(old, size);
}

void free(void* old) {
    if (old)
        add(LIVE, (uint64_t)-1);
    __libc_free(old);
}

void* memalign(size_t alignment, size_t size) {
    return counted(ALIGNED, __libc_memalign(alignment, size));
}

void* aligned_alloc(size_t alignment, size_t size) {
    return memalign(alignment, size);
}

int posix_memalign(void** out, size_t alignment, size_t size) {
    if (alignment % sizeof(void*) || (alignment & (alignment - 1)) || !alignment)
        return EINVAL;
    void* made = memalign(alignment, size);
    if (!made)
        return ENOMEM;
    *out = made;
    return 0;
}

void* valloc(size_t size) {
    return memalign((size_t)sysconf(_SC_PAGESIZE), size);
}

void* mmap(void* address, size_t size, int protection, int flags, int fd, off_t offset) {
    count(MMAP);
    return (void*)syscall(SYS_mmap, address, size, protection, flags, fd, offset);
}

void* mmap64(void* address, size_t size, int protection, int flags, int fd, off_t offset) {
    return mmap(address, size, protection, flags, fd, offset);
}

void* mremap(void* address, size_t old_size, size_t size, int flags, ...) {
    va_list more;
    va_start(more, flags);
    void* wanted = flags & MREMAP_FIXED ? va_arg(more, void*) : NULL;
    va_end(more);
    count(MMAP);
    return (void*)syscall(SYS_mremap, address, old_size, size, flags, wanted);
}

extern int __brk(void*);
extern void* __sbrk(intptr_t);

void* sbrk(intptr_t step) {
    count(BRK);
    return __sbrk(step);
}
