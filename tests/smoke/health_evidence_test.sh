#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A server that lives and answers OPTIONS in a way that clients would not take is down, and the evidence says
# what came from where; one that answers by another of its MACs, or from a port that is translated, is up.
. "$(dirname "$0")/prelude.sh"

# answers N RECEIVE [SEND]: backend N answers whatever comes to the socat address RECEIVE: from there, or by SEND.
answers() {
    cat >"$LAB_DIR/answer$1" <<END
#!/bin/sh
awk '/^(Via|From|To|Call-ID|CSeq):/ { lines = lines \$0 "\n" }
    /^\r\$/ { printf "SIP/2.0 200 OK\r\n%sContent-Length: 0\r\n\r\n", lines; exit }' ${3:+| socat -u - "$3"}
END
    chmod +x "$LAB_DIR/answer$1"
    lab_spawn "be$1" "be$1" socat -T 1 "$2,fork" "SYSTEM:$LAB_DIR/answer$1" 2>"$LAB_DIR/be$1.errors"
    lab_wait 15 lab_listens "be$1" || fail "backend $1 listens"
}
evidence() { lab_ctl --json show backends | jq -r ".backends[] | select(.backend == \"b$1\").evidence"; }
says() { [[ $(evidence "$1") == $2 ]]; } # N PATTERN
expect_down() {                          # N EVIDENCE
    lab_wait_backend "$1" down || fail "b$1 is down: $(lab_ctl show backends)"
    lab_wait 5 says "$1" "$2*" || fail "b$1 is down because of \"$2\", not \"$(evidence "$1")\""
    lab_wait 5 grep -qF "$2" "$LAB_DIR/viaductd.log" || fail "the log says so"
}

lab_up dsr-l2
answers 1 "UDP4-RECVFROM:5060,bind=$LAB_VIP" 'UDP4-SENDTO:$SOCAT_PEERADDR:$SOCAT_PEERPORT,bind='"$LAB_VIP:5070"
answers 2 UDP4-RECVFROM:5060 # of all its addresses, and answers from its own
# b3 has a second leg in the segment, by which it sends.
ip -n "$LAB_ID-net" link set be3-eth1 master br0
ip -n "$LAB_ID-be3" link set eth1 up
ip -n "$LAB_ID-be3" address add 198.51.100.123/32 dev eth1
ip -n "$LAB_ID-be3" route add "$LAB_LB/32" dev eth1 src 198.51.100.123
lab_start_backend 3
lab_start_viaductd || fail "viaductd becomes READY"
expect_down 1 "200 from $LAB_VIP:5070, expected from $LAB_VIP:5060"
expect_down 2 "200 from 198.51.100.22:5060, expected from $LAB_VIP:5060"
lab_wait_backend 3 up || fail "b3 is up: $(lab_ctl show backends)"
says 3 "200 in *from MAC 02:00:00:00:01:23*" || fail "by which MAC b3 answers is told: $(evidence 3)"
call mac 20 50 -d 100
expect "b3 serves its calls" is "${AUDIT[be3]} == 20"
# Started once more in the right way, b1 comes up, and later does not answer at all.
lab_kill_backend 1
lab_start_backend 1
lab_wait_backend 1 up || fail "b1 comes up: $(lab_ctl show backends)"
lab_kill_backend 1
expect_down 1 "no answer in $LAB_TIMEOUT ms"
answers 1 "UDP4-RECVFROM:5060,bind=$LAB_VIP" 'UDP4-SENDTO:$SOCAT_PEERADDR:$SOCAT_PEERPORT,bind='"$LAB_VIP:5071"
expect_down 1 "200 from $LAB_VIP:5071, expected from $LAB_VIP:5060"
lab_conserved || fail "received = sum of outcomes: $(lab_ctl show outcomes)"
lab_down

lab_up nat
# Nobody listens on b1. b2 answers from another port, b3 from another address.
answers 2 "UDP4-RECVFROM:5060,bind=203.0.113.22" 'UDP4-SENDTO:$SOCAT_PEERADDR:$SOCAT_PEERPORT,bind=203.0.113.22:33333'
ip -n "$LAB_ID-be3" address add 203.0.113.99/24 dev eth1
ip -n "$LAB_ID-be3" route change 203.0.113.0/24 dev eth1 src 203.0.113.99
answers 3 UDP4-RECVFROM:5060
lab_start_viaductd || fail "viaductd becomes READY"
expect_down 1 "ICMP port unreachable from 203.0.113.21"
expect_down 2 "200 from 203.0.113.22:33333, expected from 203.0.113.22:5060"
expect_down 3 "200 from 203.0.113.99:5060, expected from 203.0.113.23:5060"
sed -i 's/^mode = "nat"/&\ntranslate_any_port = true/' "$LAB_DIR/viaduct.toml"
lab_ctl reload >/dev/null || fail "the file is taken"
lab_wait_backend 2 up || fail "b2 may answer from any port now: $(lab_ctl show backends)"
expect "nobody else may" lab_backend_is 3 down
rejected() { lab_ctl --json show health | jq ".health[] | select(.backend == \"b$1\").rejected"; }
expect "answers from elsewhere are counted" is "$(rejected 3) > 0"
lab_conserved || fail "received = sum of outcomes: $(lab_ctl show outcomes)"
