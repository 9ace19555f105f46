#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# With huge pages calls go as without; the machine's number of them is as before afterwards.
. "$(dirname "$0")/prelude.sh"

pages=/proc/sys/vm/nr_hugepages
former=$(<$pages)
restore() { lab_down; echo "$former" >$pages; }
trap restore EXIT
free() { cat /sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages; }
(($(free) >= 128)) || echo $((former + 128)) >$pages
(($(free) >= 128)) ||
    { echo "skipped: the kernel has no 128 huge pages to give" >&2; exit 77; }

lab_up dsr-l2
sed -i 's/^workers = 1/&\nmemory = "hugepages"/' "$LAB_DIR/viaduct.toml"
lab_start_backends
before=$(free)
lab_start_viaductd || fail "viaductd becomes READY on huge pages"
lab_wait_backends_up || fail "the backends come up"
expect "huge pages are in use" is "$(free) < $before"
call sipp 100 100 -d 500
lab_stop_viaductd 5 || fail "SIGTERM ends viaductd"
given_back() { (($(free) == before)); }
expect "huge pages are given back" lab_wait 3 given_back
