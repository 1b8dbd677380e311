// SPDX-License-Identifier: Apache-2.0
#include "host/cli/help.hpp"

#include "host/base/text.hpp"
#include "host/schema/model.hpp"

#include <outport/abi.h>

#include <vector>

namespace outport::cli {

namespace {

constexpr std::size_t kWidth = 80, kTextColumn = 25;

struct Entry {
    std::string usage;
    std::string text;
};

// `text` in lines that begin at `column`, the first of which follows what is in `out` already.
void append_wrapped(std::string& out, std::string_view text, std::size_t column) {
    std::size_t at = column;
    bool first = true;
    while (!text.empty()) {
        auto end = text.find(' ');
        std::string_view word = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        if (!first && at + 1 + word.size() > kWidth) {
            out += cat('\n', std::string(column, ' '));
            at = column;
            first = true;
        }
        out += cat(first ? "" : " ", word);
        at += word.size() + (first ? 0 : 1);
        first = false;
    }
    out += '\n';
}

void append_entry(std::string& out, const Entry& entry) {
    out += cat("  ", entry.usage);
    std::size_t used = entry.usage.size() + 2;
    if (used + 2 > kTextColumn)
        out += cat('\n', std::string(kTextColumn, ' '));
    else
        out += std::string(kTextColumn - used, ' ');
    append_wrapped(out, entry.text, kTextColumn);
}

std::string value_list(const schema::Schema& schema, std::string_view type) {
    std::string list;
    if (const schema::Type* t = schema.type(type))
        for (const schema::EnumValue& value : t->values)
            list += cat(list.empty() ? "" : ", ", value.name);
    return list;
}

std::string option_text(const schema::Schema& schema, const schema::Option& option) {
    std::string text = option.help;
    if (option.name == "export") {
        std::string types = value_list(schema, "BlockExportType");
        text += types.empty() ? " No plugin with a type of export is loaded." : cat(" Types: ", types, ".");
    } else if (option.name == "blockdev") {
        text += cat(" Drivers: ", value_list(schema, "BlockdevDriver"), ".");
    }
    return text;
}

const std::vector<Entry>& general_entries() {
    static const std::vector<Entry> entries = {
        {"-h, --help", "print this help and exit"},
        {"-V, --version", "print the version and exit"},
        {"--daemonize",
         "go into the background; the process that was started ends with status 0 once everything is "
         "set up, and with 1 if that failed"},
        {"--pidfile PATH",
         "write the process's number to PATH once everything is set up; locked while it runs, "
         "removed at its end"},
        {"--plugin NAME|PATH", "load this plugin, and fail if that fails; may be repeated"},
        {"--plugin-dir FOLDER",
         "load the plugins of this folder, not those of the usual ones; may be repeated"},
        {"--allow-plugin-path", "let the QMP command plugin-load take a path"},
        {"--socket-mode MODE", "of the monitors' unix sockets, in octal (default: 0600)"},
        {"--socket-group GROUP", "of the monitors' unix sockets"},
        {"--shutdown-timeout SECONDS",
         "after which the end of the process waits no longer for what does not come "
         "back (default: 30)"},
        {"-T, --trace [enable=]COMPONENT[:LEVEL][,events=FILE][,file=FILE]",
         "what to log, and where to; 'help' lists the components"},
    };
    return entries;
}

constexpr std::string_view kChardevUsage = "--chardev socket,id=ID,path=PATH,server=on,wait=off | "
                                           "socket,id=ID,host=HOST,port=PORT,server=on,wait=off | "
                                           "stdio,id=ID";

void append_examples(std::string& out, const schema::Schema& schema, std::string_view program) {
    const schema::Type* types = schema.type("BlockExportType");
    out += "\nExamples:\n";
    if (schema.option("nbd-server") && types && types->has_value("nbd")) {
        out += cat("  Serve disk.img over NBD, read-only, on a unix socket:\n    ", program,
                   " --blockdev file,node-name=disk,filename=disk.img,read-only=on \\\n"
                   "        --nbd-server addr.type=unix,addr.path=disk.sock \\\n"
                   "        --export nbd,id=e0,node-name=disk\n");
    }
    out += cat("  A daemon that is told over QMP what to do:\n    ", program,
               " --chardev socket,id=c0,path=qmp.sock,server=on,wait=off \\\n"
               "        --monitor c0\n");
}

} // namespace

std::string help_text(const schema::Schema& schema, std::string_view program) {
    std::string out =
        cat("Usage: ", program, " [OPTION]...\n",
            "Exports block images through plugins.\n\n"
            "Long options may be shortened and take their argument as --option ARG or --option=ARG.\n"
            "A value of several parts is key=value,key.subkey=value,... or a JSON object.\n\n");
    for (const Entry& entry : general_entries())
        append_entry(out, entry);
    out += "\nCarried out in the order in which they stand, so what is used must be made before:\n";
    append_entry(out, {std::string(kChardevUsage), "open a channel for a monitor; 'help' lists the kinds"});
    for (const schema::Option& option : schema.options())
        append_entry(out, {cat("--", option.name, " ", option.metavar), option_text(schema, option)});
    append_entry(out, {"--object help | TYPE,help", "list the types of objects, or the properties of one"});
    append_examples(out, schema, program);
    return out;
}

std::string version_text(std::string_view program, std::string_view version) {
    constexpr std::string_view copyright = "Copyright (c) 2026 The Outport authors\n";
    if (program == kQemuName)
        return cat(kQemuName, " version 10.0.2 (outport ", version, ")\n", copyright);
    return cat(program, " version ", version, " (plugin ABI ", OUTPORT_ABI_MAJOR, ".", OUTPORT_ABI_MINOR,
               "; behaves as qemu-storage-daemon 10.0.2)\n", copyright);
}

} // namespace outport::cli
