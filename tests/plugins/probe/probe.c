/* SPDX-License-Identifier: Apache-2.0
 *
 * The entry of the test plugin, its commands, its option and its event.
 */
#include "probe.h"

#include "probe-document.h"
#include "probe-types.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef PROBE_VERSION
#define PROBE_VERSION "1.0"
#endif

struct probe_host probe;

static struct outport_qmp_call* held;
static uint64_t pending; /* calls that wait for a timer or a job */
static bool busy;

void probe_fail(struct outport_error* error, const char* message) {
    probe.host->set_error(error, message, strlen(message), NULL, 0);
}

/* ---- echo: at once, or later; on purpose also wrongly */

struct echo {
    struct outport_loop_op timer;
    struct outport_qmp_call* call;
    struct OrgOutportProbeEchoArg args;
};

static void member(struct outport_writer* to, const char* name) {
    probe.values->name(to, name, strlen(name));
}

static void echo_answer(struct outport_qmp_call* call, const struct OrgOutportProbeEchoArg* args) {
    const struct outport_values_api* v = probe.values;
    v->begin_object(call->result);
    member(call->result, "text");
    v->put_string(call->result, args->text.data, args->text.length);
    member(call->result, args->wrong ? "size" : "length");
    v->put_int(call->result, (int64_t)args->text.length);
    member(call->result, "delay");
    v->put_number(call->result, args->delay_ms / 1000.0);
    v->end(call->result);
    call->complete(call, OUTPORT_OK);
}

static void echo_later(struct outport_loop_op* op, int32_t result) {
    struct echo* e = (struct echo*)op;
    (void)result;
    --pending;
    echo_answer(e->call, &e->args);
    free(e);
}

static void echo(struct outport_qmp_call* call, void* data) {
    struct OrgOutportProbeEchoArg args;
    (void)data;
    if (!OrgOutportProbeEchoArg_read(probe.values, call->arguments, &args)) {
        probe_fail(call->error, "the arguments cannot be read");
        call->complete(call, OUTPORT_INVALID);
        return;
    }
    if (args.delay_ms == 0) {
        echo_answer(call, &args);
        return;
    }
    struct echo* e = calloc(1, sizeof *e);
    e->timer.complete = echo_later;
    e->call = call;
    e->args = args; /* its text belongs to the call */
    ++pending;
    probe.loop->timer(probe.loop->main_loop(probe.host), &e->timer, (uint64_t)args.delay_ms * 1000000u);
}

/* ---- hold and release */

static void hold_cancelled(struct outport_qmp_call* call) {
    held = NULL;
    probe_say("cancelled");
    probe_fail(call->error, "nobody waits any more");
    call->complete(call, OUTPORT_CANCELLED);
}

static void hold(struct outport_qmp_call* call, void* data) {
    (void)data;
    if (held) {
        probe_fail(call->error, "something is held already");
        call->complete(call, OUTPORT_BUSY);
        return;
    }
    held = call;
    call->cancelled = hold_cancelled;
}

static void release(struct outport_qmp_call* call, void* data) {
    struct outport_qmp_call* was = held;
    (void)data;
    if (!was) {
        probe_fail(call->error, "nothing is held");
        call->complete(call, OUTPORT_NOT_FOUND);
        return;
    }
    held = NULL;
    was->complete(was, OUTPORT_OK);
    call->complete(call, OUTPORT_OK);
}

/* ---- block: a job of the blocking pool */

struct job {
    struct outport_blocking_job job;
    struct outport_qmp_call* call;
    int32_t on_pool;
};

static void job_run(struct outport_blocking_job* j) {
    ((struct job*)j)->on_pool = probe.threads->is_pool(probe.host);
}

static void job_done(struct outport_blocking_job* j) {
    struct job* self = (struct job*)j;
    bool right = self->on_pool && probe.threads->is_main(probe.host);
    --pending;
    if (!right)
        probe_fail(self->call->error, "the job ran on the wrong thread");
    self->call->complete(self->call, right ? OUTPORT_OK : OUTPORT_FAILED);
    free(self);
}

static void block(struct outport_qmp_call* call, void* data) {
    struct job* self = calloc(1, sizeof *self);
    (void)data;
    self->job.run = job_run;
    self->job.done = job_done;
    self->job.what = "a test's job";
    self->call = call;
    ++pending;
    int32_t status = probe.blocking->submit(probe.host, probe.loop->main_loop(probe.host),
                                            OUTPORT_BLOCKING_CONTROL, &self->job, call->error);
    if (status != OUTPORT_OK) {
        --pending;
        free(self);
        call->complete(call, status);
    }
}

static void set_busy(struct outport_qmp_call* call, void* data) {
    struct OrgOutportProbeBusyArg args;
    (void)data;
    busy = OrgOutportProbeBusyArg_read(probe.values, call->arguments, &args) && args.busy;
    call->complete(call, OUTPORT_OK);
}

/* ---- linger: a timer that nothing else tells of */

static struct outport_loop_op lingering;

static void lingered(struct outport_loop_op* op, int32_t result) {
    (void)op;
    (void)result;
}

static void linger(struct outport_qmp_call* call, void* data) {
    struct OrgOutportProbeLingerArg args;
    struct outport_loop* main_loop = probe.loop->main_loop(probe.host);
    (void)data;
    if (OrgOutportProbeLingerArg_read(probe.values, call->arguments, &args) && args.on) {
        lingering.complete = lingered;
        probe.loop->timer(main_loop, &lingering, UINT64_MAX);
    } else {
        probe.loop->cancel(main_loop, &lingering);
    }
    call->complete(call, OUTPORT_OK);
}

/* ---- the event, the option */

void probe_say(const char* text) {
    struct outport_writer* event = probe.qmp->event_begin(probe.host, "__org.outport_PROBE_SAID");
    if (!event)
        return;
    probe.values->begin_object(event);
    member(event, "text");
    probe.values->put_string(event, text, strlen(text));
    probe.values->end(event);
    probe.qmp->event_send(event);
}

static void greeting(struct outport_qmp_call* call, void* data) {
    struct org_outport_ProbeGreeting args;
    (void)data;
    if (org_outport_ProbeGreeting_read(probe.values, call->arguments, &args))
        probe.log->write(probe.host, OUTPORT_LOG_WARNING, args.text.data, args.text.length);
    call->complete(call, OUTPORT_OK);
}

/* ---- the entry */

static int32_t idle(struct outport_error* error) {
    if (!busy && !held && pending == 0)
        return OUTPORT_OK;
    probe_fail(error, busy ? "a test that said so" : held ? "a call that is held" : "a call that waits");
    return OUTPORT_BUSY;
}

static int32_t usable(struct outport_error* error) {
    if (access("/dev/null", R_OK) == 0)
        return OUTPORT_OK;
    probe_fail(error, "there is no /dev/null");
    return OUTPORT_UNSUPPORTED;
}

static void quit(struct outport_done* done) {
    struct outport_qmp_call* was = held;
    held = NULL;
    if (was)
        was->complete(was, OUTPORT_OK);
    done->complete(done, OUTPORT_OK);
}

static const struct outport_status status = {
    .struct_size = sizeof status, .reserved = 0, .usable = usable, .idle = idle, .quit = quit};

static bool take_tables(const struct outport_host* host) {
    probe.host = host;
    probe.block = host->get_extension(host, OUTPORT_BLOCK_ID);
    probe.blocking = host->get_extension(host, OUTPORT_BLOCKING_ID);
    probe.exports = host->get_extension(host, OUTPORT_EXPORT_ID);
    probe.log = host->get_extension(host, OUTPORT_LOG_ID);
    probe.loop = host->get_extension(host, OUTPORT_LOOP_ID);
    probe.net = host->get_extension(host, OUTPORT_NET_ID);
    probe.qmp = host->get_extension(host, OUTPORT_QMP_ID);
    probe.threads = host->get_extension(host, OUTPORT_THREAD_CHECK_ID);
    probe.uring = host->get_extension(host, OUTPORT_URING_ID);
    probe.values = host->get_extension(host, OUTPORT_VALUES_ID);
    return probe.block && probe.blocking && probe.exports && probe.log && probe.loop && probe.net &&
           probe.qmp && probe.threads && probe.values &&
           !host->get_extension(host, "outport.no-such-thing/1");
}

static int32_t init(const struct outport_host* host, struct outport_error* error) {
    static const struct {
        const char* name;
        outport_qmp_handler handler;
    } commands[] = {{"__org.outport_probe-echo", echo},       {"__org.outport_probe-hold", hold},
                    {"__org.outport_probe-release", release}, {"__org.outport_probe-block", block},
                    {"__org.outport_probe-busy", set_busy},   {"__org.outport_probe-linger", linger}};
    if (!take_tables(host)) {
        probe_fail(error, "this host lacks an extension");
        return OUTPORT_UNSUPPORTED;
    }
    busy = false;
    int32_t result = OUTPORT_OK;
    for (size_t i = 0; i < sizeof commands / sizeof *commands && result == OUTPORT_OK; ++i)
        result = probe.qmp->add_command(host, commands[i].name, commands[i].handler, NULL, error);
    if (result == OUTPORT_OK)
        result = probe.qmp->add_option(host, "__org.outport_probe-greeting", greeting, NULL, error);
    return result;
}

static void fini(void) {
    memset(&probe, 0, sizeof probe);
}

static const void* get_extension(const char* id) {
    if (strcmp(id, OUTPORT_EXPORT_TYPE_ID) == 0)
        return &probe_export_type;
    return strcmp(id, OUTPORT_STATUS_ID) == 0 ? &status : NULL;
}

OUTPORT_PLUGIN_NOTE("probe", PROBE_VERSION, "Apache-2.0");

const struct outport_plugin outport_plugin = {
    .struct_size = sizeof outport_plugin,
    .abi_major = OUTPORT_ABI_MAJOR,
    .abi_minor = OUTPORT_ABI_MINOR,
    .min_host_minor = 0,
    .id = "probe",
    .version = PROBE_VERSION,
    .license = "Apache-2.0",
    .schema = probe_document,
    .schema_length = probe_document_length,
    .init = init,
    .fini = fini,
    .get_extension = get_extension,
};
