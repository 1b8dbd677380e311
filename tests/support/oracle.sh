#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Brings the reference programs (qemu-storage-daemon, qemu-img, qemu-io 10.0.2) beside the system, installing nothing:
# packages of the backports suite, found through the machine's own apt sources, unpacked into a cache folder together
# with the libraries that the system lacks, and wrapper scripts that find those. Prints the folder of the wrappers.
# Where 10.0.2 can't be had it falls back to the release's own version and says so on stderr.
set -eu

want=10.0.2
cache=${OUTPORT_ORACLE:-${XDG_CACHE_HOME:-$HOME/.cache}/outport/oracle-$want}
programs="qemu-storage-daemon qemu-img qemu-io"

say() { echo "oracle: $*" >&2; }

complete() { # FOLDER
    for p in $programs; do
        [ -x "$1/bin/$p" ] || return 1
    done
}

if complete "$cache"; then
    echo "$cache/bin"
    exit 0
fi

mkdir -p "$(dirname "$cache")"
work=$(mktemp -d "$(dirname "$cache")/oracle.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
mkdir -p "$work/lists/partial" "$work/archives/partial" "$work/root" "$work/bin"
: > "$work/preferences"

# One line "URI CODENAME" for each package list that apt knows; the release's own is what we need.
indexes() {
    # shellcheck disable=SC2016
    apt-get indextargets --format '$(REPO_URI) $(CODENAME)' \
        'Created-By: Packages' 'Component: main' 2>/dev/null | sort -u
}
. /etc/os-release
codename=${VERSION_CODENAME:-bookworm}
uri=$(indexes | awk -v c="$codename" '$2 == c { print $1; exit }')
[ -n "$uri" ] || { say "no apt source for $codename"; exit 1; }
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
option=
[ -r "$keyring" ] && option="[signed-by=$keyring] "
{
    echo "deb $option$uri $codename main"
    echo "deb $option$uri $codename-backports main"
} > "$work/sources.list"

apt() { # with lists and archives of our own, the system's package state, and no lock of the system's
    apt-get -q -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=/dev/null \
        -o Dir::Etc::preferences="$work/preferences" -o Dir::Etc::preferencesparts=/dev/null \
        -o Dir::State::lists="$work/lists" -o Dir::State::status=/var/lib/dpkg/status \
        -o Dir::Cache::archives="$work/archives" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= \
        -o Debug::NoLocking=1 -o APT::Sandbox::User=root "$@"
}

fetch() { # SUITE: the two packages, reinstalled if need be, and all that they need and the system lacks
    apt -y --no-install-recommends --allow-downgrades --reinstall --download-only -t "$1" \
        install qemu-system-common qemu-utils >"$work/log" 2>&1
}

apt update >"$work/log" 2>&1 || say "some package lists could not be read"
if ! fetch "$codename-backports"; then
    say "the backports suite has no such package; falling back to the release's own version"
    fetch "$codename" || { cat "$work/log" >&2; exit 1; }
fi
for deb in "$work"/archives/*.deb; do
    dpkg -x "$deb" "$work/root"
done

triplet=$(dpkg-architecture -qDEB_HOST_MULTIARCH 2>/dev/null || gcc -print-multiarch 2>/dev/null || echo x86_64-linux-gnu)
for p in $programs; do
    found=$(find "$work/root/usr/bin" "$work/root/usr/sbin" -name "$p" 2>/dev/null | head -n 1)
    [ -n "$found" ] || { say "$p is in none of the packages"; exit 1; }
    relative=${found#"$work"/}
    cat > "$work/bin/$p" <<WRAPPER
#!/bin/sh
top=\$(dirname "\$0")/..
LD_LIBRARY_PATH=\$top/root/usr/lib/$triplet:\$top/root/lib/$triplet\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}
export LD_LIBRARY_PATH
exec "\$top/$relative" "\$@"
WRAPPER
    chmod +x "$work/bin/$p"
done
version=$("$work/bin/qemu-storage-daemon" --version | head -n 1)
case $version in
*" $want "*) ;;
*) say "found '$version' instead of $want: comparisons with $want fall away" ;;
esac
rm -rf "$work/lists" "$work/archives" "$work/log" "$work/preferences" "$work/sources.list"
rm -rf "$cache"
mv "$work" "$cache"
trap - EXIT
echo "$cache/bin"
