#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# steering.new_calls: of a flood of new calls no more are remembered, the rest is forwarded by hash. Calls that rang or were
# answered before it keep their entries and end where they began, though a backend is drained in the middle of it.
. "$(dirname "$0")/prelude.sh"

FLOOD=40000 RATE=4000 LIMIT=500
counter() { lab_ctl --json show outcomes | jq ".counters.$1"; }
counter_over() { (($(counter "$1") > $2)); }
# entries: "CALL-ID BACKEND" of the hundred calls, as the table has them.
entries() {
    { printf 'json show calls sip %s-ringing@lab\n' {1..50}; printf 'json show calls sip %s-standing@lab\n' {1..50}; } |
        socat -t 5 - "UNIX-CONNECT:$LAB_SOCKET" | grep -vx OK | jq -r 'select(.remembered) | "\(.call_id) \(.backend)"' | sort
}
# reached METHOD: the same, as that method arrived at backends.
reached() {
    awk -F'\t' -v method="$1 " '/-(ringing|standing)@lab/ && $4 == "R" && index($7, method) == 1 {
        sub(".*/be", "b", FILENAME); sub("[.].*", "", FILENAME); print $5, FILENAME }' "$LAB_DIR"/be?.1.trace | sort -u
}

lab_up dsr-l2
sed -i -e 's/^t_settle/count_calls = true\n&/' -e "s/^secret/new_calls = $LIMIT\n&/" "$LAB_DIR/viaduct.toml"
# Nobody answers the flood: the kernels of backends are deaf to its address.
ip -n "$LAB_ID-cli" address add 198.51.100.101/24 dev eth0
for n in 1 2 3; do
    ip -n "$LAB_ID-be$n" rule add pref 20 lookup local
    ip -n "$LAB_ID-be$n" rule add pref 10 from 198.51.100.101 blackhole
    ip -n "$LAB_ID-be$n" rule del pref 0
done
# It rings for 18 s where the callee is called slow.
mkdir "$LAB_DIR/sipp"
cp "$LAB_SIPP/uac.xml" "$LAB_DIR/sipp"
sed 's|<recv request="INVITE" optional="true" next="answer"/>|<recv request="INVITE" optional="true" next="answer"><action>\
    <ereg regexp="sip:slow" search_in="msg" check_it="false" assign_to="slow"/></action></recv>|
    s|<send retrans="500">|<nop next="wait" test="slow"/><nop next="now"/><label id="wait"/><pause milliseconds="18000"/><label id="now"/>&|' \
    "$LAB_SIPP/uas.xml" >"$LAB_DIR/sipp/uas.xml"
LAB_SIPP=$LAB_DIR/sipp lab_start_backends
lab_start_viaductd || fail "viaductd becomes READY"
lab_wait_backends_up || fail "the backends come up"
lab_wait_settled || fail "all three take calls"

lab_call ringing 50 50 -d 100 -s slow -cid_str %u-ringing@lab &
callers=($!)
lab_call standing 50 50 -d 18000 -cid_str %u-standing@lab &
callers+=($!)
lab_wait 20 lab_has_placed ringing 50 || fail "SIPp places calls"
lab_wait 20 lab_has_placed standing 50 || fail "SIPp places more calls"
calls_are_held() { [[ $(entries | wc -l) == 100 ]]; }
lab_wait 5 calls_are_held || fail "a hundred calls are remembered, not $(entries | wc -l)"
entries >"$LAB_DIR/held"
ringing_are() { [[ $(lab_ctl --json show calls | jq '[.calls[].ringing] | add') == "$1" ]]; }
lab_wait 5 ringing_are 50 || fail "fifty of them ring: $(lab_ctl show calls)"
diff "$LAB_DIR/held" <(reached INVITE) >&2 || fail "they are remembered at the backends they reached"

cat >"$LAB_DIR/flood.xml" <<'XML'
<?xml version="1.0" encoding="ISO-8859-1" ?>
<scenario name="flood">
  <send><![CDATA[

      INVITE sip:callee@[remote_ip] SIP/2.0
      Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]
      From: <sip:flood@[local_ip]>;tag=[call_number]
      To: <sip:callee@[remote_ip]>
      Call-ID: [call_id]
      CSeq: 1 INVITE
      Content-Length: 0

    ]]></send>
</scenario>
XML
before=$(lab_ctl --json show outcomes) began=$SECONDS
TERM=dumb lab_in cli timeout -s KILL 60 sipp -sf "$LAB_DIR/flood.xml" "$LAB_VIP:5060" -i 198.51.100.101 -nostdin \
    -m "$FLOOD" -r "$RATE" -l "$FLOOD" >"$LAB_DIR/flood.out" 2>&1 &
flood=$!
lab_wait 10 counter_over calls_flooded $((RATE / 2)) || fail "the limit is felt (calls_flooded)"
lab_ctl drain proxies b1 >"$LAB_DIR/reply" || fail "drain is obeyed: $(<"$LAB_DIR/reply")"
lab_wait_settled || fail "the drain is announced, and then done"
expect "the flood goes on" kill -0 "$flood"
wait "$flood" || fail "SIPp sends all of the flood: $(tail -n 5 "$LAB_DIR/flood.out")"
took=$((SECONDS - began + 1))
diff "$LAB_DIR/held" <(entries) >&2 || fail "the hundred calls are where they were"

grown() { echo $(($(lab_ctl --json show outcomes | jq "$1") - $(jq "$1" <<<"$before"))); } # JQ-PATH
kept=$(grown .counters.calls_remembered) flooded=$(grown .counters.calls_flooded) sent=$(grown .outcomes.forwarded)
expect "no more are remembered than the limit has it ($kept in $took s)" is "$kept > 0 && $kept <= LIMIT * ($took + 1)"
expect "all others are counted ($flooded)" is "$kept + $flooded == FLOOD"
expect "all of it is forwarded ($sent)" is "$sent >= FLOOD"
for n in 1 2 3; do
    expect "b$n is sent a share of it" is "$(lab_ctl --json show backends | jq ".backends[$n - 1].forwarded") > FLOOD / 10"
done
wait "${callers[@]}"
audit ringing 50
audit standing 50
diff "$LAB_DIR/held" <(reached BYE) >&2 || fail "every call ends where it began"
expect "received is the sum of outcomes" lab_conserved
