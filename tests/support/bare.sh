#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: bare.sh FOLDER COMMAND...      (as root)
# Runs ./dev COMMAND... as the first command ever typed on a Debian 12 that has nothing: in a folder made by debootstrap
# with the smallest variant, in which this commit is the only other thing. The folder must not exist; it stays.
set -eu
root=$1
shift
cd "$(dirname "$0")/../.."
[ ! -e "$root" ] || { echo "bare: $root exists" >&2; exit 1; }

# shellcheck disable=SC2016
uri=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 'Created-By: Packages' 'Component: main' |
    awk '$2 == "bookworm" { print $1; exit }')
debootstrap --variant=minbase bookworm "$root" "$uri" >"$root.log" 2>&1 || { tail "$root.log" >&2; exit 1; }
rm -f "$root.log"
cp /etc/resolv.conf "$root/etc/resolv.conf"
# Not a package's: the installer of every system writes it, or what starts a container.
printf '127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n' >"$root/etc/hosts"
for file in /etc/apt/apt.conf.d/*proxy* /etc/apt/apt.conf; do
    [ ! -f "$file" ] || cp "$file" "$root/etc/apt/apt.conf.d/90$(basename "$file")"
done

cleanup() {
    for mounted in dev/shm dev/pts dev sys proc .; do
        umount -l "$root/$mounted" 2>/dev/null || true
    done
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM
mount --bind "$root" "$root" # the root of a system is a mount; tests make mount namespaces in it
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount --make-rslave "$root/sys"
mount --make-rslave "$root/dev"

mkdir "$root/outport"
git archive HEAD | tar -x -C "$root/outport"
chroot "$root" /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 TERM=dumb \
    ${http_proxy:+http_proxy="$http_proxy"} sh -c 'cd /outport && exec ./dev "$@"' sh "$@" </dev/null
