/* SPDX-License-Identifier: Apache-2.0
 *
 * outport.values/1, offered by the host: a read-only tree of values that the host has validated against the
 * schema, members in the schema's order, defaults filled in. The schema compiler makes typed structs over it
 * (see SCHEMA-FRAGMENT.md), so few plugins call this by hand. And a writer for what a plugin answers or
 * announces.
 */
#ifndef OUTPORT_VALUES_H
#define OUTPORT_VALUES_H

#include <outport/abi.h>

#define OUTPORT_VALUES_ID "outport.values/1"

OUTPORT_BEGIN_DECLS

#define OUTPORT_VALUE_NULL 1000u
#define OUTPORT_VALUE_BOOL 2000u
#define OUTPORT_VALUE_INT 3000u  /* fits int64_t */
#define OUTPORT_VALUE_UINT 4000u /* above INT64_MAX; fits uint64_t */
#define OUTPORT_VALUE_NUMBER 5000u
#define OUTPORT_VALUE_STRING 6000u
#define OUTPORT_VALUE_ARRAY 7000u
#define OUTPORT_VALUE_OBJECT 8000u

/* Where an answer or the data of an event is written; see qmp.h. */
struct outport_writer;

struct outport_values_api {
    uint32_t struct_size;
    uint32_t reserved;

    /* [any] [any-state] [nonblocking] Repeat: any. Concurrent: yes, also the functions that follow. One of
     * OUTPORT_VALUE_…. Owner: the tree is the host's and lives as long as what gave it (an export's args, a
     * call). */
    uint32_t (*kind)(const struct outport_value* value) OUTPORT_NOEXCEPT;

    /* [any] [any-state] [nonblocking] Repeat: any. 0 or 1; 0 when it is no boolean. Owner: as kind. */
    int32_t (*get_bool)(const struct outport_value* value) OUTPORT_NOEXCEPT;

    /* [any] [any-state] [nonblocking] Repeat: any. 0 when it is no integer; wraps when it is a UINT. Owner:
     * as kind. */
    int64_t (*get_int)(const struct outport_value* value) OUTPORT_NOEXCEPT;

    /* [any] [any-state] [nonblocking] Repeat: any. 0 when it is no integer; wraps when it is negative. Owner:
     * as kind. */
    uint64_t (*get_uint)(const struct outport_value* value) OUTPORT_NOEXCEPT;

    /* [any] [any-state] [nonblocking] Repeat: any. Any kind of number as a double; 0 when it is none. Owner:
     * as kind. */
    double (*get_number)(const struct outport_value* value) OUTPORT_NOEXCEPT;

    /* [any] [any-state] [nonblocking] Repeat: any. Null and length 0 when it is no string; else
     * zero-terminated after its length. Owner: the text belongs to the tree; `length` may be null. */
    const char* (*get_string)(const struct outport_value* value, uint64_t* length)OUTPORT_NOEXCEPT;

    /* [any] [any-state] [nonblocking] Repeat: any. How many elements or members; 0 for all other kinds.
     * Owner: as kind. */
    uint64_t (*count)(const struct outport_value* value) OUTPORT_NOEXCEPT;

    /* [any] [any-state] [nonblocking] Repeat: any. The element, or the member's value, by position; null past
     * the end. Owner: as kind. */
    const struct outport_value* (*at)(const struct outport_value* value, uint64_t index)OUTPORT_NOEXCEPT;

    /* [any] [any-state] [nonblocking] Repeat: any. The name of the member at `index`; null where there is
     * none. Owner: the text belongs to the tree; `length` may be null. */
    const char* (*name_at)(const struct outport_value* value, uint64_t index,
                           uint64_t* length)OUTPORT_NOEXCEPT;

    /* [any] [any-state] [nonblocking] Repeat: any. The member's value; null when it is absent or `value` is
     * no object. Owner: as kind; the name is borrowed. */
    const struct outport_value* (*member)(const struct outport_value* value, const char* name,
                                          uint64_t name_length)OUTPORT_NOEXCEPT;

    /* [main] [any-state] [nonblocking] Repeat: any. Writes one value at the writer's place; inside an object,
     * after `name`. What does not fit the schema's type is found when the writer ends, and logged. Owner: the
     * writer is the host's. */
    void (*put_null)(struct outport_writer* writer) OUTPORT_NOEXCEPT;
    /* [main] [any-state] [nonblocking] Repeat: any. As put_null. Owner: as put_null. */
    void (*put_bool)(struct outport_writer* writer, int32_t value) OUTPORT_NOEXCEPT;
    /* [main] [any-state] [nonblocking] Repeat: any. As put_null. Owner: as put_null. */
    void (*put_int)(struct outport_writer* writer, int64_t value) OUTPORT_NOEXCEPT;
    /* [main] [any-state] [nonblocking] Repeat: any. As put_null. Owner: as put_null. */
    void (*put_uint)(struct outport_writer* writer, uint64_t value) OUTPORT_NOEXCEPT;
    /* [main] [any-state] [nonblocking] Repeat: any. As put_null. Owner: as put_null; the text is borrowed and
     * copied. */
    void (*put_string)(struct outport_writer* writer, const char* text, uint64_t length) OUTPORT_NOEXCEPT;
    /* [main] [any-state] [nonblocking] Repeat: any. The name of the member that is written next. Owner: as
     * put_string. */
    void (*name)(struct outport_writer* writer, const char* text, uint64_t length) OUTPORT_NOEXCEPT;
    /* [main] [any-state] [nonblocking] Repeat: any. Opens an object as the next value, up to its `end`.
     * Owner: as put_null. */
    void (*begin_object)(struct outport_writer* writer) OUTPORT_NOEXCEPT;
    /* [main] [any-state] [nonblocking] Repeat: any. Opens an array as the next value, up to its `end`. Owner:
     * as put_null. */
    void (*begin_array)(struct outport_writer* writer) OUTPORT_NOEXCEPT;
    /* [main] [any-state] [nonblocking] Repeat: any. Closes what was opened last. Owner: as put_null. */
    void (*end)(struct outport_writer* writer) OUTPORT_NOEXCEPT;
    /* [main] [any-state] [nonblocking] Repeat: any. As put_null; a finite number. Owner: as put_null. */
    void (*put_number)(struct outport_writer* writer, double value) OUTPORT_NOEXCEPT;
};
OUTPORT_STATIC_ASSERT(sizeof(struct outport_values_api) == 168, "append only");

OUTPORT_END_DECLS

#endif
