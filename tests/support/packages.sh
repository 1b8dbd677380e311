# SPDX-License-Identifier: Apache-2.0
# Sourced by ./dev: what each command needs from the system, and how it gets there. The one list of packages.
# shellcheck shell=sh

packages_build="meson ninja-build pkg-config g++ python3 ccache libboost1.81-dev libboost-json1.81-dev
    libboost-filesystem1.81-dev libboost-system1.81-dev liburing-dev libspdlog-dev"
packages_demo="libnbd-bin"
packages_test="libgtest-dev libgmock-dev libnbd-dev libnbd-bin python3-libnbd nbdkit fio
    qemu-utils strace fuse3 libfuse3-dev"
packages_bench="libbenchmark-dev"
packages_mutants="git patch"
packages_fmt="clang-format-19 git"
packages_lint="clang-19 clang-tidy-19"
packages_fuzz="clang-19 libclang-rt-19-dev"

# Prints those of the named packages that are not installed.
missing_packages() {
    # shellcheck disable=SC2016
    dpkg-query -W -f '${Package} ${db:Status-Status}\n' "$@" 2>/dev/null | awk -v wanted="$*" '
        $2 == "installed" { have[$1] = 1 }
        END { n = split(wanted, w, " "); for (i = 1; i <= n; i++) if (!(w[i] in have)) print w[i] }'
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo "$@"
    else
        echo "dev: this needs root, and there is no sudo: $*" >&2
        return 1
    fi
}

# Installs what is missing of the named packages, and nothing more. Silent and quick when all is there.
install_packages() {
    # shellcheck disable=SC2046
    set -- $(missing_packages "$@")
    [ $# -eq 0 ] && return 0
    echo "dev: installing $*"
    log=$(mktemp)
    if as_root env DEBIAN_FRONTEND=noninteractive apt-get -q update </dev/null >"$log" 2>&1 &&
        as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends \
            -o DPkg::Lock::Timeout=300 install "$@" </dev/null >>"$log" 2>&1; then
        rm -f "$log"
        return 0
    fi
    cat "$log" >&2
    rm -f "$log"
    return 1
}
