#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A port that takes no more (tx_full) and a control thread that hears nothing for seconds (events_lost): what is lost is
# counted, calls and backends do not suffer, and afterwards all is as before.
. "$(dirname "$0")/prelude.sh"

counter() { lab_ctl --json show outcomes | jq ".counters.$1"; } # NAME

# The port to the backends has 32 places to send from, and its link takes a frame in half a second.
lab_up nat
sed -i 's/^method = .*/method = "none"/; /^interval = /d; /^timeout = /d; /^fall = /d; /^rise = /d
        s/iface=lb1,framecnt=4096/iface=lb1,framecnt=32,qdisc_bypass=0/' "$LAB_DIR/viaduct.toml"
lab_start_backends
lab_start_viaductd || fail "viaductd becomes READY"
resolved() { [[ $(ip -n "$LAB_ID-lb" neigh show dev vd-p1 | grep -c REACHABLE) == 3 ]]; }
lab_wait 5 resolved || fail "the backends answer ARP"
lab_in lb tc qdisc add dev lb1 root tbf rate 8kbit burst 2000 limit 1000000 || fail "tc makes the link slow"
printf '%s\r\n' "OPTIONS sip:ping@$LAB_VIP SIP/2.0" "Via: SIP/2.0/UDP $LAB_CLIENT:5060;branch=z9hG4bKx" \
    "From: <sip:c@$LAB_CLIENT>;tag=1" "To: <sip:ping@$LAB_VIP>" "Call-ID: full@lab" "CSeq: 1 OPTIONS" "" >"$LAB_DIR/message"
flood() { # ROLE PORT ADDRESS COUNT RATE
    lab_in "$1" "$VIADUCT_BUILD/tests/flood" "$3" "$2" "$4" "$5" "$LAB_DIR/message" >"$LAB_DIR/flood" || fail "it is sent"
}
flood cli 5060 "$LAB_VIP" 300 300
lab_wait 5 outcome_over tx_full 200 || fail "what the port does not take is tx_full: $(lab_ctl show outcomes)"
expect "and all that was sent or not is counted" is "$(outcome forwarded) + $(outcome tx_full) == 300"
expect "received is the sum of outcomes" lab_conserved
lab_in lb tc qdisc del dev lb1 root
before=$(outcome tx_full)
call after 40 40 -d 100
expect "nothing more is lost" is "$(outcome tx_full) == before"
lab_down

# The control thread stands still; a backend sends more answers to probes than the ring of events holds.
start dsr-l2
printf '%s\r\n' "SIP/2.0 200 OK" "Via: SIP/2.0/UDP $LAB_LB:9;branch=z9hG4bK$(printf '%032d' 1)" "Call-ID: $(printf '%032d' 1)" \
    "CSeq: 1 OPTIONS" "" >"$LAB_DIR/message"
pid=$(lab_pid viaductd)
probe_port=$(lab_in lb ss -Hlunp | awk -v pid="pid=$pid," 'index($0, pid) { sub(/.*:/, "", $4); print $4 }')
expect "viaductd has a UDP port for probes" is "probe_port > 0"
expect "no event was lost so far" is "$(counter events_lost) == 0"
lab_spawn hold lb "$VIADUCT_BUILD/tests/hold" "$pid" >"$LAB_DIR/held"
lab_wait 5 grep -qs held "$LAB_DIR/held" || fail "the control thread is held"
flood be1 "$probe_port" "$LAB_LB" 6000 20000
call held 40 40 -d 100
lab_kill hold # the control thread goes on
lab_wait 5 lab_conserved || fail "received is the sum of outcomes: $(lab_ctl show outcomes)"
lost=$(counter events_lost)
expect "what the ring did not hold is events_lost ($lost)" is "lost > 1000 && lost < 6000"
expect "it was received ($(outcome probe_answer))" outcome_over probe_answer 5999
unknown=$(lab_ctl --json show health | jq .unknown_answers)
expect "the control thread had the rest ($unknown)" is "unknown + lost >= 6000"
up() { [[ $(lab_states | grep -c ' up ') == 3 ]]; }
expect "no backend went down for it: $(lab_ctl show events)" up
good() { lab_ctl --json show health | jq '[.health[].good] | min'; }
before=$(good)
probed() { (($(good) > before + 1)); }
lab_wait 10 probed || fail "probes go on"
call after 40 40 -d 100
expect "no more events are lost" is "$(counter events_lost) == lost"
