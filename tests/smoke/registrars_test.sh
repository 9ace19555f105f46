#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Three Kamailio registrars that share nothing, behind key = "aor": every MESSAGE and every INVITE for a registered user finds
# its binding, while registrars are added and drained, viaductd is killed, and phones refresh here and there; and the answers
# of the phones come back to the registrar that sent the request on, so that it repeats nothing.
. "$(dirname "$0")/prelude.sh"
command -v kamailio >/dev/null || { echo "skipped: kamailio is not installed (scripts/packages)" >&2; exit 77; }
USERS=30
LAB_T1=20 LAB_SETTLE=2

# registrar N: a stateful proxy with its own location table, in memory.
REGISTRAR='alias=example.com
request_route {
    if (is_method("OPTIONS")) { sl_send_reply("200", "Here"); exit; }
    if (is_method("REGISTER")) { save("location"); exit; }
    if (is_method("ACK")) { t_relay(); exit; }
    if (!lookup("location")) { sl_send_reply("404", "Not registered here"); exit; }
    t_relay();
}'
registrar() { kamailio_start "be$1" "be$1" "$LAB_VIP:5060" "$REGISTRAR" usrloc registrar; }

# scenario NAME METHOD STATUS [HEADER...]: a request for each of users 1, 2, 3, ..., that has to be answered so.
scenario() {
    local ack=""
    [[ $2 != INVITE ]] || ack="<send><![CDATA[

      ACK sip:user[call_number]@example.com SIP/2.0
      [last_Via:]
      Max-Forwards: 70
      From: <sip:caller@example.com>;tag=[pid]c[call_number]
      To: <sip:user[call_number]@example.com>[peer_tag_param]
      Call-ID: [call_id]
      CSeq: 1 ACK
      Content-Length: 0

    ]]></send>"
    cat >"$LAB_DIR/$1.xml" <<XML
<?xml version="1.0" encoding="ISO-8859-1" ?>
<scenario name="$1">
  <send retrans="500"><![CDATA[

      $2 sip:user[call_number]@example.com SIP/2.0
      Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]
      Max-Forwards: 70
      From: <sip:caller@example.com>;tag=[pid]c[call_number]
      To: <sip:user[call_number]@example.com>
      Call-ID: [call_id]
      CSeq: 1 $2
      Contact: <sip:user[call_number]@[local_ip]:5070>
      $(printf '%s\n      ' "${@:4}")Content-Length: 0

    ]]></send>
  <recv response="100" optional="true"/>
  <recv response="180" optional="true"/>
  <recv response="$3"/>
  $ack
</scenario>
XML
}
# The phones: 200 to a MESSAGE, 486 to an INVITE.
cat_phones() {
    cat <<'XML'
<?xml version="1.0" encoding="ISO-8859-1" ?>
<scenario name="phones">
  <recv request="INVITE" optional="true" next="busy"/>
  <recv request="MESSAGE"/>
  <send next="end"><![CDATA[

      SIP/2.0 200 OK
      [last_Via:]
      [last_From:]
      [last_To:];tag=[pid]p[call_number]
      [last_Call-ID:]
      [last_CSeq:]
      Content-Length: 0

    ]]></send>
  <label id="busy"/>
  <send retrans="500"><![CDATA[

      SIP/2.0 486 Busy Here
      [last_Via:]
      [last_From:]
      [last_To:];tag=[pid]p[call_number]
      [last_Call-ID:]
      [last_CSeq:]
      Content-Length: 0

    ]]></send>
  <recv request="ACK"/>
  <label id="end"/>
</scenario>
XML
}

# sends NAME SCENARIO USERS: all are answered as they have to be.
sends() {
    TERM=dumb lab_in cli timeout -s KILL 30 sipp -sf "$LAB_DIR/$2.xml" "$LAB_VIP:5060" -i "$LAB_CLIENT" -p 5080 -nostdin \
        -m "$3" -r 60 -l 60 -cid_str "%u-$1@lab" -trace_err -error_file "$LAB_DIR/$1.errors" >/dev/null 2>"$LAB_DIR/$1.stderr" ||
        fail "all $3 are answered ($1): $(tail -n 15 "$LAB_DIR/$1.errors" "$LAB_DIR/$1.stderr")"
}
asked=0
# all_are_found WHEN
all_are_found() {
    sends "m-$1" message $USERS
    sends "i-$1" invite $USERS
    ((asked += USERS))
}
# received METHOD: so many of them came to the phones, repeats too.
received() { awk -F'\t' -v method="$1 " '$4 == "R" && index($7, method) == 1' "$LAB_DIR/phones.trace" | wc -l; }
# explained: where explain sends an INVITE for each user, and by which rule.
explained() {
    local n
    for ((n = 1; n <= USERS; n++)); do
        printf '%s\r\n' "INVITE sip:user$n@example.com SIP/2.0" "Via: SIP/2.0/UDP $LAB_CLIENT;branch=z9hG4bK$n" "Max-Forwards: 70" \
            "From: <sip:a@example.com>;tag=1" "To: <sip:user$n@example.com>" "Call-ID: asks-$n" "CSeq: 1 INVITE" \
            "Content-Length: 0" "" | base64 -w 0 | sed 's/^/json explain sip --message-base64 /; s/$/\n/'
    done | socat -t 5 - "UNIX-CONNECT:$LAB_SOCKET" | grep -vx OK | jq -r '"\(.backend) \(.rule)"'
}

lab_up dsr-l2
sed -i 's/^t_settle/key = "aor"\n&/' "$LAB_DIR/viaduct.toml"
sed -i -z 's/\[\[pool\.backend\]\]\nname = "b3"\n[^[]*//' "$LAB_DIR/viaduct.toml"
scenario register REGISTER 200 "Expires: 600"
scenario message MESSAGE 200
scenario invite INVITE 486
cat_phones >"$LAB_DIR/phones.xml"
for n in 1 2 3; do registrar $n; done
: >"$LAB_DIR/phones.trace"
TERM=dumb lab_spawn phones cli sipp -sf "$LAB_DIR/phones.xml" -i "$LAB_CLIENT" -p 5070 -nostdin -trace_shortmsg \
    -shortmessage_file "$LAB_DIR/phones.trace" >/dev/null 2>"$LAB_DIR/phones.stderr"
lab_start_viaductd || fail "viaductd becomes READY"
lab_wait_backend 1 up && lab_wait_backend 2 up || fail "both registrars come up"
lab_wait_settled || fail "both take calls"

sends register register $USERS
all_are_found first
lab_ctl add proxies b3 198.51.100.23 >"$LAB_DIR/reply" || fail "add is obeyed: $(<"$LAB_DIR/reply")"
lab_wait_backend 3 up || fail "the new registrar comes up"
all_are_found announced
lab_wait_settled || fail "it takes calls"
all_are_found added
expect "some are in slots that moved" is "$(explained | grep -c ' registered') > 3"
expect "nobody is looked for in the new one" is "$(explained | grep -c '^b3') == 0"
lab_ctl drain proxies b1 >"$LAB_DIR/reply" || fail "drain is obeyed: $(<"$LAB_DIR/reply")"
lab_wait_settled || fail "the drain is done"
all_are_found drained
expect "their bindings are where they were" is "$(explained | grep -c '^b1') > 5"
sends refresh register $((USERS / 2))
all_are_found refreshed
lab_kill_viaductd
lab_start_viaductd || fail "viaductd becomes READY again"
lab_wait_settled || fail "it takes calls again"
all_are_found restarted
sends again register $USERS
all_are_found left
expect "b1 has no binding left" is "$(explained | grep -c '^b1') == 0"
lab_ctl undrain proxies b1 >"$LAB_DIR/reply" || fail "undrain is obeyed: $(<"$LAB_DIR/reply")"
lab_wait_settled || fail "b1 takes calls again"
all_are_found undrained

expect "each MESSAGE came to its phone once ($(received MESSAGE) of $asked did)" is "$(received MESSAGE) == $asked"
expect "each INVITE came to its phone once ($(received INVITE) of $asked did)" is "$(received INVITE) == $asked"
expect "received is the sum of outcomes" lab_conserved
