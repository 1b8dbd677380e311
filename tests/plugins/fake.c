/* SPDX-License-Identifier: Apache-2.0
 *
 * A plugin that does next to nothing, and can be built with one defect out of many: -DFAKE_ID=… names it,
 * -DDEFECT_… chooses. Plain C11, built against an installed SDK.
 */
#include <outport/export-type.h>
#include <outport/plugin.h>
#include <outport/qmp.h>

#include <stdlib.h>
#include <string.h>

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)
#define ID TEXT(FAKE_ID)

#ifndef FAKE_VERSION
#define FAKE_VERSION "1.0"
#endif
#ifndef FAKE_MAJOR
#define FAKE_MAJOR OUTPORT_ABI_MAJOR
#endif
#ifndef FAKE_MINOR
#define FAKE_MINOR OUTPORT_ABI_MINOR
#endif
#ifndef SYMBOL_SIZE
#define SYMBOL_SIZE sizeof(struct outport_plugin)
#endif
#ifndef SYMBOL_VERSION
#define SYMBOL_VERSION FAKE_VERSION
#endif
#ifndef NOTE_ID
#define NOTE_ID ID
#endif

/* One command without arguments, which answers with the version that was compiled in. */
#define DOCUMENT(fragment, command)                                                                          \
    "{\"format\":1,\"fragment\":\"" fragment "\",\"types\":{\"__org.outport_Fake_" TEXT(                     \
        FAKE_NAME) "\":{\"kind\":\"struct\",\"members\":[{\"name\":\"version\",\"type\":\"str\"}]}},"        \
                   "\"commands\":{\"" command                                                                \
                   "\":{\"arg\":null,\"ret\":\"__org.outport_Fake_" TEXT(FAKE_NAME) "\"}}}"
#define TYPE_DOCUMENT                                                                                        \
    "{\"format\":1,\"fragment\":\"" ID "\",\"extends\":{\"BlockExportType\":"                                \
    "[{\"name\":\"__org.outport_" ID "\"}]}}"

/* Whoever runs any code of a file that is to be refused, finds this in the environment. */
__attribute__((constructor)) static void leave_a_trace(void) {
    setenv("OUTPORT_FAKE_RAN", ID, 1);
}

static const struct outport_host* the_host;
static int initialised;

#ifdef FAKE_COMMAND
static const struct outport_values_api* values;

static void answer(struct outport_qmp_call* call, void* data) {
    (void)data;
    values->begin_object(call->result);
    values->name(call->result, "version", 7);
    values->put_string(call->result, FAKE_VERSION, strlen(FAKE_VERSION));
    values->end(call->result);
    call->complete(call, OUTPORT_OK);
}

static int32_t add_commands(struct outport_error* error) {
    const struct outport_qmp_api* qmp = the_host->get_extension(the_host, OUTPORT_QMP_ID);
    values = the_host->get_extension(the_host, OUTPORT_VALUES_ID);
    int32_t result = qmp->add_command(the_host, FAKE_COMMAND, answer, NULL, error);
#ifdef DEFECT_HANDLER_TWICE
    if (result == OUTPORT_OK)
        result = qmp->add_command(the_host, FAKE_COMMAND, answer, NULL, error);
#endif
#ifdef DEFECT_OTHER_COMMAND
    if (result == OUTPORT_OK)
        result = qmp->add_command(the_host, "quit", answer, NULL, error);
#endif
    return result;
}
#endif

#ifdef FAKE_BUSY
static int32_t idle(struct outport_error* error) {
    the_host->set_error(error, "a server of its own", 19, NULL, 0);
    return OUTPORT_BUSY;
}
static int32_t usable(struct outport_error* error) {
    the_host->set_error(error, "there is no such device here", 28, NULL, 0);
    return OUTPORT_UNSUPPORTED;
}
static const struct outport_status status = {.struct_size = sizeof status, .usable = usable, .idle = idle};
#endif

#ifdef FAKE_SCRIPTED
/* Does what the test, which offers its own type as an extension, says. */
static const struct outport_export_type* script(void) {
    return the_host->get_extension(the_host, "outport.test-type/1");
}
static int32_t create(const struct outport_export_args* args, void** state, struct outport_error* error) {
    return script()->create(args, state, error);
}
static void start(void* state, struct outport_done* done) {
    script()->start(state, done);
}
static void stop(void* state, uint32_t mode, struct outport_done* done) {
    script()->stop(state, mode, done);
}
static void destroy(void* state) {
    script()->destroy(state);
}
static const struct outport_export_type type = {
    sizeof type, 0,         OUTPORT_KNOWS_SAFE | OUTPORT_KNOWS_SOFT | OUTPORT_KNOWS_HARD,
    0,           FAKE_TYPE, create,
    start,       stop,      destroy};
#elif defined FAKE_TYPE
#ifndef TYPE_SIZE
#define TYPE_SIZE sizeof(struct outport_export_type)
#endif
#ifndef TYPE_FLAGS
#define TYPE_FLAGS 0
#endif
#ifndef TYPE_MODES
#define TYPE_MODES (OUTPORT_KNOWS_SAFE | OUTPORT_KNOWS_HARD)
#endif
#ifndef TYPE_CREATE
#define TYPE_CREATE create
#endif
__attribute__((unused)) static int32_t create(const struct outport_export_args* args, void** state,
                                              struct outport_error* error) {
    (void)args, (void)state, (void)error;
    return OUTPORT_FAILED;
}
static void start(void* state, struct outport_done* done) {
    (void)state;
    done->complete(done, OUTPORT_FAILED);
}
static void stop(void* state, uint32_t mode, struct outport_done* done) {
    (void)state, (void)mode;
    done->complete(done, OUTPORT_OK);
}
static void destroy(void* state) {
    (void)state;
}
static const struct outport_export_type type = {TYPE_SIZE,   TYPE_FLAGS, TYPE_MODES, 0,      FAKE_TYPE,
                                                TYPE_CREATE, start,      stop,       destroy};
#endif

static int32_t init(const struct outport_host* host, struct outport_error* error) {
    the_host = host;
    if (initialised++) {
        host->set_error(error, "init without fini", 17, NULL, 0);
        return OUTPORT_FAILED;
    }
#ifdef DEFECT_INIT_FAILS
    host->set_error(error, "it does not want to", 19, NULL, 0);
    initialised = 0;
    return OUTPORT_UNSUPPORTED;
#elif defined FAKE_COMMAND
    int32_t result = add_commands(error);
    if (result != OUTPORT_OK)
        initialised = 0;
    return result;
#else
    return OUTPORT_OK;
#endif
}

static void fini(void) {
    initialised = 0;
}

static const void* get_extension(const char* id) {
    (void)id;
#ifdef FAKE_BUSY
    if (strcmp(id, OUTPORT_STATUS_ID) == 0)
        return &status;
#endif
#ifdef FAKE_TYPE
    if (strcmp(id, OUTPORT_EXPORT_TYPE_ID) == 0)
        return &type;
#endif
    return NULL;
}

#ifdef FAKE_SCHEMA
static const char document[] = FAKE_SCHEMA;
#define DOCUMENT_TEXT document
#define DOCUMENT_LENGTH (sizeof document - 1)
#else
#define DOCUMENT_TEXT NULL
#define DOCUMENT_LENGTH 0
#endif

#ifndef DEFECT_NO_NOTE
#define NOTE(name)                                                                                           \
    __attribute__((section(OUTPORT_NOTE_SECTION), used,                                                      \
                   aligned(4))) static const struct outport_note name = {8,                                  \
                                                                         sizeof(struct outport_note) - 20,   \
                                                                         OUTPORT_NOTE_TYPE,                  \
                                                                         OUTPORT_NOTE_NAME,                  \
                                                                         FAKE_MAJOR,                         \
                                                                         FAKE_MINOR,                         \
                                                                         0,                                  \
                                                                         0,                                  \
                                                                         NOTE_ID,                            \
                                                                         FAKE_VERSION,                       \
                                                                         "Apache-2.0"}
NOTE(note);
#ifdef DEFECT_TWO_NOTES
NOTE(another_note);
#endif
#endif

#ifdef DEFECT_NO_SYMBOL
#define SYMBOL __attribute__((visibility("hidden"), used)) const struct outport_plugin not_the_symbol
#else
#define SYMBOL const struct outport_plugin outport_plugin
#endif
#ifndef FAKE_INIT
#define FAKE_INIT init
#endif
#ifndef FAKE_FINI
#define FAKE_FINI fini
#endif

SYMBOL = {
    .struct_size = SYMBOL_SIZE,
    .abi_major = FAKE_MAJOR,
    .abi_minor = FAKE_MINOR,
    .min_host_minor = 0,
    .id = ID,
    .version = SYMBOL_VERSION,
    .license = "Apache-2.0",
    .schema = DOCUMENT_TEXT,
    .schema_length = DOCUMENT_LENGTH,
    .init = FAKE_INIT,
    .fini = FAKE_FINI,
    .get_extension = get_extension,
};

/* Some variants leave one of them unused. */
__attribute__((unused)) static int32_t (*const keep_init)(const struct outport_host*,
                                                          struct outport_error*) = init;
__attribute__((unused)) static void (*const keep_fini)(void) = fini;
