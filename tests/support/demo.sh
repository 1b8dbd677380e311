#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: demo.sh BUILD-FOLDER. Serves a small disk image through nbd.so, reads it back with real clients, tells what it
# did and how to do the same, and cleans up behind itself.
set -eu
build=$1
folder=$(mktemp -d)
daemon=
cleanup() {
    [ -z "$daemon" ] || kill "$daemon" 2>/dev/null || true
    [ -z "$daemon" ] || wait "$daemon" 2>/dev/null || true
    rm -rf "$folder"
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM

step() { printf '\n== %s\n' "$*"; }
show() { # COMMAND...: says it and runs it
    printf '$ %s\n' "$*"
    "$@"
}

step "A disk image of 64 MiB: text at the start and in the middle, holes between"
image=$folder/disk.img
truncate -s 64M "$image"
printf 'Hello from a disk image.\n' | dd of="$image" conv=notrunc 2>/dev/null
printf 'And from the middle of it.\n' | dd of="$image" bs=1M seek=32 conv=notrunc 2>/dev/null
echo "$(du -k "$image" | cut -f 1) KiB of it are allocated"

step "outportd loads nbd.so and exports it on a unix socket"
socket=$folder/nbd.sock
qmp=$folder/qmp.sock
set -- --blockdev "file,node-name=disk,filename=$image" \
    --nbd-server "addr.type=unix,addr.path=$socket" \
    --export "nbd,id=export0,node-name=disk,name=demo,writable=on" \
    --chardev "socket,id=qmp,path=$qmp,server=on,wait=off" --monitor "chardev=qmp" \
    --daemonize --pidfile "$folder/pid"
printf '$ outportd'
for word; do
    case $word in
    --*) printf ' \\\n      %s' "$word" ;;
    *) printf ' %s' "$word" ;;
    esac
done
echo
"$build/host/cli/outportd" --plugin-dir "$build/plugins/nbd" "$@"
daemon=$(cat "$folder/pid")
echo "it runs as process $daemon: $(awk '/VmRSS/ { print $2, $3 }' "/proc/$daemon/status") resident"

uri="nbd+unix:///demo?socket=$socket"
step "A client lists what is served"
show nbdinfo "$uri"
step "and where the data is (0) and the holes are (3)"
show nbdinfo --map "$uri"
step "and reads it back, holes included"
show nbdcopy "$uri" "$folder/copy.img"
head -n 1 "$folder/copy.img"
cmp "$image" "$folder/copy.img" && echo "the copy is identical, $(du -k "$folder/copy.img" | cut -f 1) KiB allocated"

step "The control socket speaks QMP, as qemu-storage-daemon does"
/usr/bin/python3 - "$qmp" <<'PYTHON'
import json, socket, sys
qmp = socket.socket(socket.AF_UNIX)
qmp.connect(sys.argv[1])
lines = qmp.makefile("rw")
print(lines.readline().strip()[:100] + "...")
for command in ("qmp_capabilities", "query-block-exports", "query-plugins"):
    print(">", command)
    lines.write(json.dumps({"execute": command}) + "\n")
    lines.flush()
    print("<", lines.readline().strip())
PYTHON

step "To do this by hand"
cat <<TEXT
  $build/host/cli/outportd --blockdev file,node-name=disk,filename=YOUR.img \\
      --nbd-server addr.type=inet,addr.host=127.0.0.1,addr.port=10809 \\
      --export nbd,id=e0,node-name=disk,name=demo,writable=on
  nbdcopy nbd://127.0.0.1/demo copy.img       # or qemu-img, nbd-client, fio, ...
  $build/host/cli/outportd --help
TEXT
echo
echo "All of it is gone again: process, sockets, images."
