#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# `explain` names the backend that the call's messages reach.
. "$(dirname "$0")/prelude.sh"

start dsr-l2
call sipp 200 100 -d 100
awk -F'\t' '$4 == "R" && $7 ~ /^INVITE / { file = FILENAME; sub(".*/be", "b", file); sub("[.].*", "", file); print $5, file }' \
    "$LAB_DIR"/be?.1.trace | sort -u >"$LAB_DIR/reached"
# One connection, one line a question: socat is a full client.
awk '{ print "json explain sip " $1 }' "$LAB_DIR/reached" | socat -t 5 - "UNIX-CONNECT:$LAB_SOCKET" |
    grep -vx OK | jq -r '"\(.call_id) \(.backend)"' | sort -u >"$LAB_DIR/explained"
expect "200 calls reached backends" is "$(grep -c . "$LAB_DIR/reached") == 200"
diff "$LAB_DIR/reached" "$LAB_DIR/explained" >&2 || fail "explain names the backend that traffic reaches"

id=$(head -n 1 "$LAB_DIR/reached")
printf 'BYE sip:x SIP/2.0\r\ni:  %s\r\n\r\n' "${id% *}" >"$LAB_DIR/message"
expect "explain of a whole message says the same" \
    [ "$(lab_ctl --json explain sip <"$LAB_DIR/message" | jq -r .backend)" = "${id#* }" ]
