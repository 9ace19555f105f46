#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A real proxy (Kamailio) in front of the VIP forks each call to three callees, under one Call-ID. A pool with max_calls
# takes 120 that are refused and 120 that one callee answers; afterwards none is counted, and a drain reaches 0.
. "$(dirname "$0")/prelude.sh"
command -v kamailio >/dev/null || { echo "skipped: kamailio is not installed (scripts/packages)" >&2; exit 77; }

PROXY=5090
LAB_FALL=40
# shellcheck disable=SC2016
SERVER='request_route {
    if (is_method("ACK")) exit;
    if (is_method("INVITE") && $rU =~ "^busy") { sl_send_reply("486", "Busy Here"); exit; }
    if (is_method("INVITE")) append_to_reply("Contact: <sip:$rU@VIP:5060>\r\n");
    sl_send_reply("200", "OK");
}'
# shellcheck disable=SC2016
FORK='request_route {
    $var(user) = $rU;
    if (has_totag()) { # inside a dialog, and the ACKs to successes
        if (is_method("ACK") && t_check_trans()) { t_relay(); exit; }
        $du = "sip:VIP:5060";
        t_relay();
        exit;
    }
    if (is_method("CANCEL")) { if (t_check_trans()) t_relay(); exit; }
    $ru = "sip:busy1@VIP:5060";
    append_branch("sip:" + $var(user) + "2@VIP:5060");
    append_branch("sip:busy3@VIP:5060");
    t_relay();
}'

# forked NAME USER SCENARIO: 120 calls to the proxy; it forks each to busy1, USER2 and busy3.
forked() {
    TERM=dumb lab_in cli timeout -s KILL 60 sipp -sf "$3" "$LAB_CLIENT:$PROXY" -i "$LAB_CLIENT" -p 5070 -s "$2" \
        -nostdin -m 120 -r 40 -l 120 -d 200 -trace_err -error_file "$LAB_DIR/$1.errors" \
        -trace_logs -log_file "$LAB_DIR/$1.done" >/dev/null 2>"$LAB_DIR/$1.stderr" ||
        fail "$1: every call ends as it should ($(head -n 3 "$LAB_DIR/$1.errors"))"
}
sum_of() { lab_ctl --json show calls | jq "[.calls[] | $1] | add"; }
none_counted() { (($(sum_of '.ringing + .answered + .lasting') == 0)); }
left_is() { [[ $(lab_ctl --json show backends | jq -c '[.backends[].calls_left]') == "$1" ]]; }

for mode in dsr-l2 nat; do
    lab_up "$mode"
    sed -i -e 's/^t_settle/steering = "least-calls"\n&/' -e 's/^port = 5060$/&\nMAX/' "$LAB_DIR/viaduct.toml"
    sed -i -e '/^\[\[vip\]\]/,/^\[/ { /^MAX$/d }' -e 's/^MAX$/max_calls = 25/' "$LAB_DIR/viaduct.toml"
    for n in 1 2 3; do
        kamailio_start "be$n" "be$n" "$(lab_address "$n"):5060" "${SERVER//VIP/$LAB_VIP}" corex
    done
    kamailio_start proxy cli "$LAB_CLIENT:$PROXY" "${FORK//VIP/$LAB_VIP}" corex
    lab_start_viaductd || fail "viaductd becomes READY"
    lab_wait_backends_up || fail "the backends come up"
    lab_wait_settled || fail "all three take calls"

    # The caller of the lab, who is refused.
    awk '/<recv response="200" timeout/ { sub("200", "486"); print; getline; acks = 1 } { print } acks && /<\/send>/ { exit }' \
        "$LAB_SIPP/uac.xml" >"$LAB_DIR/refused.xml"
    echo '</scenario>' >>"$LAB_DIR/refused.xml"

    forked refused busy "$LAB_DIR/refused.xml"
    forked answered ok "$LAB_SIPP/uac.xml"
    forked again busy "$LAB_DIR/refused.xml"
    expect "no call finds the pool full ($mode)" is "$(outcome over_limit) == 0"
    lab_wait 10 none_counted || fail "$mode: no call is counted when all have ended ($(lab_ctl show calls))"
    lab_ctl drain proxies b1 >"$LAB_DIR/reply" || fail "b1 drains"
    lab_wait 10 left_is '[0,0,0]' || fail "$mode: a drain reaches 0 ($(lab_ctl show backends))"
    lab_down
done
