# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# prelude: what every smoke test starts with. `X_test.sh BUILD-FOLDER`; exit 0 passed, 1 failed (the
# sentence on stderr), 77 skipped. The lab of scripts/lab.sh is removed however the test ends.

set -u
((EUID == 0)) || { echo "skipped: network namespaces need root" >&2; exit 77; }
for tool in sipp socat jq tcpdump ethtool ping setpriv; do
    command -v "$tool" >/dev/null || { echo "skipped: $tool is not installed (scripts/packages)" >&2; exit 77; }
done
VIADUCT_BUILD=$(realpath "${1:-${VIADUCT_BUILD:-$(dirname "${BASH_SOURCE[0]}")/../../build}}")
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lab.sh"
lab_trap
# Patient, so that on a busy machine no late answer moves calls; tests of health say otherwise.
LAB_FALL=10

declare -A AUDIT=()
fail() {
    echo "FAILED: $*" >&2
    [[ -n ${AUDIT[example]:-} ]] && lab_story "${AUDIT[example]}" | sed 's/^/  /' >&2
    [[ -f $LAB_DIR/viaductd.log ]] && tail -n 15 "$LAB_DIR/viaductd.log" | sed 's/^/  viaductd: /' >&2
    exit 1
}
# expect SENTENCE COMMAND...: the sentence is what holds when the command succeeds.
expect() { "${@:2}" || fail "$1"; }
is() { (($1)); } # ARITHMETIC

# start MODE: lab, three SIPp backends, viaductd, all up.
start() {
    lab_up "$1"
    lab_start_backends
    lab_start_viaductd || fail "viaductd becomes READY"
    lab_wait_backends_up || fail "the backends come up"
    lab_wait_settled || fail "all three take calls"
}

# call NAME CALLS RATE [SIPP-ARGUMENT...]: every call succeeds, and each on one backend; sets AUDIT.
call() {
    lab_call "$@"
    audit "$1" "$2"
}
audit() { # NAME CALLS
    lab_audit "$1"
    expect "SIPp placed $2 calls (it placed ${AUDIT[placed]})" is "${AUDIT[placed]} == $2"
    expect "no call fails (${AUDIT[failed]} did; see ${AUDIT[example]:-})" is "${AUDIT[failed]} == 0"
    expect "every call stays on one backend (not ${AUDIT[example]:-})" is "${AUDIT[split]} == 0"
}

# phone_calls caller|callee: strict phones at both ends, that side hangs up; nobody complains.
phone_calls() {
    local n pid begun total=0
    for n in 1 2 3; do
        lab_spawn "be$n" "be$n" "$VIADUCT_BUILD/tests/strict_phone" server --name "b$n" --hangup "$1" \
            --bind "$(lab_address "$n"):5060" --contact "$LAB_VIP:5060" \
            >"$LAB_DIR/phone$n" 2>"$LAB_DIR/phone$n.wrong"
        lab_wait 15 lab_listens "be$n" || fail "strict phone b$n listens"
    done
    lab_wait_backends_up || fail "the strict phones come up"
    lab_wait_settled || fail "all strict phones take calls"
    lab_in cli "$VIADUCT_BUILD/tests/strict_phone" client --calls 100 --rate 50 --hangup "$1" \
        --bind "$LAB_CLIENT:5070" --vip "$LAB_VIP:5060" || fail "the strict client is content ($1 hangs up)"
    for n in 1 2 3; do
        pid=$(lab_pid "be$n")
        kill "$pid"
        lab_wait 10 lab_gone "$pid" # it waits for its calls
        cat "$LAB_DIR/phone$n"
        expect "strict server b$n is content ($1 hangs up): $(<"$LAB_DIR/phone$n.wrong")" \
            jq -e '.violations == 0 and .ended == .begun' "$LAB_DIR/phone$n" >"$LAB_DIR/jq"
        begun=$(jq .begun "$LAB_DIR/phone$n")
        expect "b$n takes part" is "$begun > 0"
        ((total += begun))
    done
    expect "each of 100 calls began at one server (they began $total)" is "$total == 100"
}

outcome() { lab_ctl --json show outcomes | jq ".outcomes.$1"; } # NAME
outcome_over() { (($(outcome "$1") > $2)); }                    # NAME NUMBER
eligible_is() { [[ $(lab_ctl --json show pools | jq '.pools[0].eligible') == "$1" ]]; }

# send_invite CALL-ID: one INVITE to the VIP; who answers does not matter.
send_invite() {
    printf '%s\r\n' "INVITE sip:callee@$LAB_VIP SIP/2.0" \
        "Via: SIP/2.0/UDP $LAB_CLIENT:5099;branch=z9hG4bK$1" "Max-Forwards: 70" \
        "From: <sip:caller@$LAB_CLIENT:5099>;tag=1" "To: <sip:callee@$LAB_VIP>" "Call-ID: $1" \
        "CSeq: 1 INVITE" "Contact: <sip:caller@$LAB_CLIENT:5099>" "Content-Length: 0" "" |
        lab_in cli socat -u - "UDP-SENDTO:$LAB_VIP:5060,bind=$LAB_CLIENT:5099"
}

# users_register NAME USERS CALL-IDS BEFORE AFTER: each accepted, under an address written BEFORE, number, AFTER.
users_register() {
    TERM=dumb lab_in cli timeout -s KILL 60 sipp -sf "$LAB_SIPP/register.xml" "$LAB_VIP:5060" -i "$LAB_CLIENT" -nostdin \
        -m "$2" -r "$2" -l "$2" -cid_str "$3" -key before "$4" -key after "$5" >/dev/null 2>"$LAB_DIR/$1.stderr" ||
        fail "all $2 users are registered ($1): $(<"$LAB_DIR/$1.stderr")"
}

# kamailio_start NAME ROLE LISTEN ROUTES [MODULE...]: one that listens in that namespace; its log is NAME.log.
kamailio_start() {
    local folder=$LAB_DIR/$1.kamailio port=${3%% *}
    mkdir -p "$folder"
    {
        printf '%s\n' '#!KAMAILIO' debug=-1 log_stderror=yes children=2 disable_tcp=yes auto_aliases=no dns=no rev_dns=no \
            dns_cache_init=off use_dst_blocklist=off "listen=udp:$3"
        printf 'loadmodule "%s.so"\n' tm sl pv textops siputils "${@:5}"
        printf '%s\n' "$4"
    } >"$folder/kamailio.cfg"
    lab_spawn "$1" "$2" kamailio -DD -E -f "$folder/kamailio.cfg" -w "$folder" -Y "$folder" -m 64 -M 8 \
        >/dev/null 2>"$LAB_DIR/$1.log"
    lab_wait 15 lab_hears "$2" "${port##*:}" || fail "Kamailio $1 listens: $(tail -n 3 "$LAB_DIR/$1.log")"
}
lab_hears() { [[ -n $(lab_in "$1" ss -Hlun "sport = :$2") ]]; } # ROLE PORT

# host_state: what viaductd could leave behind in its namespace and on disk.
host_state() {
    ip -n "$LAB_ID-lb" -o link | sed 's/ qlen.*//; s/ state [A-Z]*//'
    lab_in lb tc qdisc show
    local leg
    for leg in lb0 lb1; do
        lab_in lb tc filter show dev "$leg" ingress 2>&1
    done
    ip -n "$LAB_ID-lb" rule
    ip -n "$LAB_ID-lb" route show table all
    ip -n "$LAB_ID-lb" neigh
    [[ ! -e $LAB_SOCKET ]] || echo "socket $LAB_SOCKET"
}
# expect_clean WHEN: nothing differs from $LAB_DIR/clean (host_state before the first start).
expect_clean() {
    host_state >"$LAB_DIR/now"
    diff "$LAB_DIR/clean" "$LAB_DIR/now" >&2 || fail "nothing is left behind $1 (see the lines above)"
}
