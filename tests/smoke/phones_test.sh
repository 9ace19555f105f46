#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Real phones, baresip and linphone, register through the VIP with Kamailios that ask for a password and share
# nothing, and call each other by the callee's registrar. Calls that the caller ends, that the callee ends, that the
# callee declines and that the caller gives up are so for both phones, have all their messages at that registrar, are
# counted while they live, and are not afterwards.
. "$(dirname "$0")/prelude.sh"
for program in kamailio baresip linphonec; do
    command -v $program >/dev/null || { echo "skipped: $program is not installed (scripts/packages)" >&2; exit 77; }
done

# registrar N: a proxy with its own location table, in memory; its log has each message of a call that comes there.
# The GRUU of a caller is known to its own registrar, and its calls are at another: there are none.
# shellcheck disable=SC2016
REGISTRAR='alias=example.com
modparam("registrar", "gruu_enabled", 0)
request_route {
    if (is_method("OPTIONS")) { sl_send_reply("200", "Here"); exit; }
    if (is_method("REGISTER")) {
        xlog("L_ALERT", "registers $tU\n");
        if (!pv_www_authenticate("example.com", "secret", "0")) { auth_challenge("example.com", "0"); exit; }
        save("location");
        exit;
    }
    xlog("L_ALERT", "call $ci $rm\n");
    if (is_method("CANCEL")) { if (t_check_trans()) t_relay(); exit; }
    if (has_totag()) {
        if (is_method("ACK") && t_check_trans() || loose_route()) { t_relay(); exit; }
        if (!is_method("ACK")) sl_send_reply("481", "Not here");
        exit;
    }
    loose_route();
    if (!pv_proxy_authenticate("example.com", "secret", "0")) { auth_challenge("example.com", "0"); exit; }
    consume_credentials();
    if (!lookup("location")) { sl_send_reply("404", "Not registered here"); exit; }
    record_route();
    t_relay();
}
reply_route { xlog("L_ALERT", "call $ci $rs $rm\n"); }'
registrar() {
    local listen
    listen=$(lab_address "$1"):5060
    [[ $LAB_MODE != nat ]] || listen+=" advertise $LAB_VIP:5060"
    kamailio_start "be$1" "be$1" "$listen" "$REGISTRAR" rr xlog auth usrloc registrar
}

# A phone is its program's name. It takes commands from the FIFO in its folder; what it says is there in `said`.
declare -A USER_OF=([baresip]=bob [linphonec]=linda) AT=() SAID=()
phone_files() { # PHONE
    mkdir -p "$LAB_DIR/$1"
    mkfifo "$LAB_DIR/$1/in"
}
baresip_start() {
    phone_files baresip
    cat >"$LAB_DIR/baresip/config" <<CONFIG
sip_listen $LAB_CLIENT:5072
module_path /usr/lib/baresip/modules
module stdio.so
module g711.so
module aubridge.so
module_app account.so
module_app menu.so
audio_player aubridge,none
audio_source aubridge,none
audio_alert aubridge,none
CONFIG
    echo "<sip:bob@example.com>;auth_user=bob;auth_pass=secret;outbound=\"sip:$LAB_VIP\";regint=600" \
        >"$LAB_DIR/baresip/accounts"
    # shellcheck disable=SC2016
    lab_spawn baresip cli env -i HOME="$LAB_DIR/baresip" PATH="$PATH" TERM=dumb bash -c 'exec baresip -f ~ <>~/in' \
        >"$LAB_DIR/baresip/said" 2>&1
}
# Without a folder for its database linphonec registers nowhere, and does not say so. It looks for a PulseAudio server
# before it does anything.
linphonec_start() {
    phone_files linphonec
    mkdir -p "$LAB_DIR/linphonec/.local/share/linphone"
    cat >"$LAB_DIR/linphonec/config" <<CONFIG
[sip]
sip_port=5074
sip_tcp_port=0
sip_tls_port=0
use_ipv6=0
default_proxy=0
[proxy_0]
reg_proxy=<sip:$LAB_VIP;transport=udp>
reg_route=<sip:$LAB_VIP;transport=udp;lr>
reg_identity=sip:linda@example.com
reg_expires=600
reg_sendregister=1
publish=0
[auth_info_0]
username=linda
passwd=secret
realm=example.com
CONFIG
    # shellcheck disable=SC2016
    lab_spawn linphonec cli env -i HOME="$LAB_DIR/linphonec" PATH="$PATH" TERM=dumb PULSE_SERVER="unix:$LAB_DIR/none" \
        bash -c 'exec linphonec -c ~/config -d 6 -l ~/log <>~/in' >"$LAB_DIR/linphonec/said" 2>&1
}
tell() { printf '%s\n' "$2" 1<>"$LAB_DIR/$1/in"; } # PHONE COMMAND
declare -A WORDS=(
    [baresip dial]="/dial sip:linda@example.com" [linphonec dial]="call sip:bob@example.com"
    [baresip answer]="/accept" [linphonec answer]="answer"
    [baresip end]="/hangup" [linphonec end]="terminate"
    [baresip rings]="Incoming call from: *sip:linda@example\.com"
    [linphonec rings]="Receiving new incoming call from sip:bob@example\.com"
    [baresip talks]="bob@example\.com: Call established: sip:linda@example\.com"
    [linphonec talks]="Media streams established with sip:bob@example\.com"
    # Who hung up, and who was hung up on. baresip has the same words for a BYE and a CANCEL that come.
    [baresip ends]="terminate call '[^']+' with sip:linda@example\.com"
    [baresip ended]="sip:linda@example\.com: session closed: Connection reset by peer"
    [linphonec ends]="Call [0-9]+ with sip:bob@example\.com ended \(No error\)"
    [linphonec ended]="Call [0-9]+ with sip:bob@example\.com ended \(No error\)"
    # Who declined, and who was.
    [baresip declines]="rejecting incoming call from sip:linda@example\.com \(486"
    [baresip declined]="sip:linda@example\.com: session closed: 603 Decline"
    [linphonec declines]="Call [0-9]+ with sip:bob@example\.com ended \(Call declined\)"
    [linphonec declined]="Call [0-9]+ with sip:bob@example\.com error"
    # Who gave up while it rang, and whose phone rang.
    [baresip "gives up"]="terminate call '[^']+' with sip:linda@example\.com"
    [baresip "missed it"]="sip:linda@example\.com: session closed: Connection reset by peer"
    [linphonec "gives up"]="Call [0-9]+ with sip:bob@example\.com ended \(No error\)"
    [linphonec "missed it"]="Call [0-9]+ with sip:bob@example\.com ended \(Not answered\)"
)
has_said() { tail -c "+$((${SAID[$1]} + 1))" "$LAB_DIR/$1/said" | grep -qE "${WORDS[$1 $2]}"; }
# said_all: the last of what both said since the present call began.
said_all() {
    local phone
    for phone in baresip linphonec; do
        printf '\n%s:\n' "$phone"
        tail -c "+$((${SAID[$phone]} + 1))" "$LAB_DIR/$phone/said" | tr -cd '\n -~' | tail -n 8
    done
}
# says PHONE WHAT: it has said so since the present call began, or does now.
says() { lab_wait 10 has_said "$1" "$2" || fail "$story: $1 $2$(said_all)"; }
has_registered() { # PHONE
    case $1 in
    baresip) grep -qF 'bob@example.com: {0/UDP/v4} 200 OK' "$LAB_DIR/baresip/said" ;;
    linphonec) grep -qsF 'to [LinphoneRegistrationOk]' "$LAB_DIR/linphonec/log" ;;
    esac
}

# counts N RINGING ANSWERED: so many calls at bN, and none elsewhere.
counts() {
    lab_ctl --json show calls | jq -e --arg backend "b$1" --argjson ringing "$2" --argjson answered "$3" '
        all(.calls[]; if .backend == $backend then .ringing == $ringing and .answered == $answered
                      else .ringing + .answered == 0 end)' >"$LAB_DIR/jq"
}
counted() { # N RINGING ANSWERED
    lab_wait 10 counts "$@" || fail "$story: b$1 has $2 calls that ring and $3 answered ones: $(lab_ctl show calls)"
}

# begin CALLER CALLEE: until it rings.
begin() {
    local phone
    for phone in baresip linphonec; do SAID[$phone]=$(stat -c %s "$LAB_DIR/$phone/said"); done
    tell "$1" "${WORDS[$1 dial]}"
    says "$2" rings
    counted "${AT[$2]}" 1 0
}
# finish PHONE OTHER WHAT WHAT-OF-THE-OTHER: the phone ends the call, so that no call is counted.
finish() {
    tell "$1" "${WORDS[$1 end]}"
    says "$1" "$3"
    says "$2" "$4"
    counted 1 0 0
}
answered_call() { # CALLER CALLEE ENDS
    local story="$LAB_MODE, $1 calls $2, $3 hangs up" other=$1
    [[ $3 != "$1" ]] || other=$2
    begin "$1" "$2"
    tell "$2" "${WORDS[$2 answer]}"
    says "$1" talks
    says "$2" talks
    counted "${AT[$2]}" 0 1
    finish "$3" "$other" ends ended
}
declined_call() { # CALLER CALLEE
    local story="$LAB_MODE, $1 calls $2, who declines"
    begin "$1" "$2"
    finish "$2" "$1" declines declined
}
canceled_call() { # CALLER CALLEE
    local story="$LAB_MODE, $1 calls $2 and gives up"
    begin "$1" "$2"
    finish "$1" "$2" "gives up" "missed it"
}
# calls_at N [WORDS]: how many calls had a message there, or this one.
calls_at() { sed -nE "s/.*: call ([^ ]+) ${2:-.*}$/\1/p" "$LAB_DIR/be$1.log" | sort -u | wc -l; }
all_ended_at() { # N: two by a BYE that the other phone answered, one by the callee's no, one by a CANCEL
    [[ $(calls_at "$1" "200 BYE") == 2 && $(calls_at "$1" "(486|603) INVITE") == 1 &&
        $(calls_at "$1" "487 INVITE") == 1 && $(calls_at "$1") == 4 ]]
}
nothing_lost() {
    lab_ctl --json show outcomes |
        jq -e '[.outcomes | del(.forwarded, .returned, .probe_answer, .punted)[]] | add == 0' >"$LAB_DIR/jq"
}

for mode in nat dsr-l2; do
    lab_up "$mode"
    sed -i 's/^t_settle/key = "aor"\ncount_calls = true\n&/' "$LAB_DIR/viaduct.toml"
    # Where linphone finds no default route it takes the network to be down.
    ip -n "$LAB_ID-cli" route add default via "$LAB_LB"
    for n in 1 2 3; do registrar $n; done
    lab_start_viaductd || fail "viaductd becomes READY"
    lab_wait_backends_up || fail "the registrars come up"
    lab_wait_settled || fail "all three take calls"

    for phone in baresip linphonec; do
        ${phone}_start
        lab_wait 15 has_registered $phone || fail "$mode: $phone registers: $(tail -n 5 "$LAB_DIR/$phone/said")"
        AT[$phone]=$(grep -l "registers ${USER_OF[$phone]}$" "$LAB_DIR"/be?.log | sed 's/.*be//; s/\.log//')
        expect "$mode: $phone registers with one of the three (${AT[$phone]})" test "${#AT[$phone]}" = 1
    done
    expect "$mode: each with its own (${AT[*]})" test "${AT[baresip]}" != "${AT[linphonec]}"

    for pair in "baresip linphonec" "linphonec baresip"; do
        read -r caller callee <<<"$pair"
        answered_call "$caller" "$callee" "$caller"
        answered_call "$caller" "$callee" "$callee"
        declined_call "$caller" "$callee"
        canceled_call "$caller" "$callee"
    done
    for phone in baresip linphonec; do
        lab_wait 10 all_ended_at "${AT[$phone]}" ||
            fail "$mode: the 4 calls to $phone end at its registrar: $(<"$LAB_DIR/be${AT[$phone]}.log")"
    done
    n=$((6 - AT[baresip] - AT[linphonec]))
    expect "$mode: no message of them came to b$n, where nobody is" is "$(calls_at $n) == 0"
    expect "$mode: no message was lost on the way: $(lab_ctl show outcomes)" nothing_lost
    expect "$mode: received is the sum of outcomes" lab_conserved
    lab_down
done
