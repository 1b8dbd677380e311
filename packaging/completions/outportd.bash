# SPDX-License-Identifier: Apache-2.0
# bash completion for outportd. What plugins add is asked of the program itself, so it is right for this machine.

_outportd() {
    local current=$2 previous=$3 words program=${COMP_WORDS[0]}
    COMPREPLY=()

    # "--option=value" comes as three words, and "type,mountpoint=path" too.
    if [[ $previous == = && $COMP_CWORD -ge 2 ]]; then
        previous=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    [[ $current == = ]] && current=
    if [[ ${COMP_LINE:0:COMP_POINT} =~ (^|[\ ,])mountpoint=([^\ ,]*)$ ]]; then
        mapfile -t COMPREPLY < <(compgen -f -- "${BASH_REMATCH[2]}")
        return
    fi

    case $previous in
    --pidfile | --plugin)
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        return
        ;;
    --plugin-dir)
        mapfile -t COMPREPLY < <(compgen -d -- "$current")
        return
        ;;
    --socket-group)
        mapfile -t COMPREPLY < <(compgen -g -- "$current")
        return
        ;;
    --chardev)
        words="socket stdio null help"
        ;;
    --object)
        words="help $("$program" --object help 2>/dev/null | sed -n 's/^  //p')"
        ;;
    --blockdev)
        words=$("$program" --help 2>/dev/null | tr -s '\n ' ' ' | sed -n 's/.*Drivers: \([^.]*\)\..*/\1/p' | tr -d ,)
        ;;
    --export)
        words=$("$program" --help 2>/dev/null | tr -s '\n ' ' ' | sed -n 's/.*Types: \([^.]*\)\..*/\1/p' | tr -d ,)
        ;;
    -T | --trace)
        words="help $("$program" --trace help 2>/dev/null)"
        ;;
    *)
        if [[ $current == -* ]]; then
            words=$("$program" --help 2>/dev/null | sed -n 's/^  \(-[A-Za-z], \)\{0,1\}\(--[a-z-]*\).*/\2/p' | sort -u)
        fi
        ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}

complete -F _outportd outportd
