#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# In the virtual machine: every promise on each NIC model, in the lab of scripts/lab.sh, whose two bridges end
# here in NICs of the kernel's; the port of viaductd is the emulated NIC at the other end of the cable.
scope=$2 models=("${@:3}")
export LAB_PREFIX=vm
. "${BASH_SOURCE[0]%/*}/../smoke/prelude.sh"
# An emulated CPU is slow.
LAB_INTERVAL=1000 LAB_TIMEOUT=900 LAB_READY=120

say() { printf '%5d s  %s\n' "$SECONDS" "$*"; }
# set_link NIC on|off: the cable of one of QEMU's NICs.
set_link() {
    local answer
    echo "set_link $*"
    read -r answer
    [[ $answer == "done" ]] || fail "the host sets the link of $1 $2"
}
# address MODEL N: of its NIC on bridge N.
address() {
    local i slot=4
    [[ $1 != igb ]] || { echo "0000:0$(($2 + 1)):00.0"; return; }
    for i in "${models[@]}"; do
        [[ $i != "$1" ]] || break
        ((slot += 2))
    done
    printf '0000:00:%02x.0\n' $((slot + $2))
}
# bind ADDRESS DRIVER: as dpdk-devbind.py does.
bind() {
    local device=/sys/bus/pci/devices/$1
    [[ ! -e $device/driver ]] || echo "$1" >"$device/driver/unbind"
    echo "$2" >"$device/driver_override"
    echo "$1" >/sys/bus/pci/drivers_probe
    [[ $(readlink "$device/driver") == */$2 ]] || fail "$1 is bound to $2"
}
far_nic() { echo "far$1"; } # "$(echo /sys/bus/pci/devices/0000:00:1"$((8 + $1))".0/virtio*/net/*)"; } # of bridge N
far_nics_are_here() { ip link show "$(far_nic 0)" && ip link show "$(far_nic 1)"; } >/dev/null 2>&1
for n in 0 1; do # eth0 is a name that the lab wants
    ip link set "$(basename "/sys/bus/pci/devices/0000:00:1$((8 + n)).0"/virtio*/net/*)" name "far$n"
done
for model in "${models[@]}"; do # nor may the kernel have the others
    for n in 0 1; do
        nic=/sys/bus/pci/devices/$(address "$model" "$n")
        [[ ! -e $nic/driver ]] || echo "${nic##*/}" >"$nic/driver/unbind"
    done
done
# lay_cables: the lab's own legs of viaductd give way to the NICs.
lay_cables() {
    local n far
    lab_wait 10 far_nics_are_here || fail "the far NICs are back from the last lab"
    for n in 0 1; do
        ip -n "$LAB_ID-lb" link del "lb$n"
        far=$(far_nic "$n")
        ip link set "$far" netns "$LAB_ID-net"
        lab_in net ethtool -K "$far" tx off >"$LAB_DIR/ethtool" 2>&1
        ip -n "$LAB_ID-net" link set "$far" master "br$n" up
    done
    cp "$LAB_DIR/viaduct.toml" "$LAB_DIR/lab.toml"
}
# plug MODEL DRIVER: its two NICs, bound to DRIVER, are the only ones at the cables.
plug() {
    local n model
    for n in 0 1; do
        for model in "${models[@]}"; do
            set_link "$model$n" "$([[ $model == "$1" ]] && echo on || echo off)"
        done
        bind "$(address "$1" "$n")" "$2"
    done
}
# configure MODEL WORKERS [MEMORY]
configure() {
    sed -e "s/net_af_packet0[^\"]*/$(address "$1" 0)/; s/net_af_packet1[^\"]*/$(address "$1" 1)/" \
        -e "s/^workers = 1/workers = $2\nmemory = \"${3:-hugepages}\"/" "$LAB_DIR/lab.toml" >"$LAB_DIR/viaduct.toml"
}
start_on() { # WHAT: viaductd with what is configured, until all backends take calls
    lab_start_viaductd || fail "$1: viaductd becomes READY"
    lab_wait_backends_up || fail "$1: the backends come up"
    lab_wait_settled || fail "$1: all backends take calls"
}
answers() { lab_in cli ping -q -c 2 -i 0.2 -W 2 "$1" >"$LAB_DIR/ping"; } # ADDRESS
link_is() { [[ $(lab_ctl --json show ports | jq -r '.ports[0].link') == "$1" ]]; }

# refused WHAT PATTERN [SED-SCRIPT]: viaductd with what is configured ends with one line, which matches.
refused() {
    local code
    sed -i -e "${3:-}" "$LAB_DIR/viaduct.toml"
    lab_in lb timeout 60 "$VIADUCT_BUILD/viaductd" --config "$LAB_DIR/viaduct.toml" >"$LAB_DIR/out" 2>"$LAB_DIR/err"
    code=$?
    expect "$1: exit 1, not $code: $(<"$LAB_DIR/err")" is "$code == 1"
    expect "$1: one line: $(<"$LAB_DIR/err")" is "$(grep -c . "$LAB_DIR/err") == 1"
    expect "$1: it says $2: $(<"$LAB_DIR/err")" grep -qE -- "$2" "$LAB_DIR/err"
    say "ok    $1: $(<"$LAB_DIR/err")"
}
# misbound MODEL: every state of a device that is not DPDK's has its own words.
misbound() {
    local nic
    nic=$(address "$1" 0)
    configure "$1" 1
    refused "$1, no huge pages asked for" "needs physical addresses" 's/"hugepages"/"ordinary"/'
    configure "$1" 1
    refused "an address that is none" "no such address: 0000:00:0${nic:9:1}.1; did you mean $nic\?" \
        "s/$nic/${nic:5:6}1/"
    echo "$nic" >"/sys/bus/pci/devices/$nic/driver/unbind"
    configure "$1" 1
    refused "$1 without driver" "not bound: .*dpdk-devbind.py -b vfio-pci $nic"
    modprobe "$1"
    bind "$nic" "$1"
    refused "$1 with the kernel's driver" "driver in use: the kernel driver $1 uses $nic.*dpdk-devbind.py"
    bind "$nic" uio_pci_generic
}

# carries_calls NAME WHAT
carries_calls() {
    expect "$2: ping of the port's own address" answers "$LAB_LB"
    expect "$2: ping of the VIP" answers "$LAB_VIP"
    call "$1" 10 10 -d 300
    expect "$2: all that was given to the port was sent" is "$(lab_ctl --json show ports | jq '[.ports[].tx_lost] | add') == 0"
}
# pull_the_cable MODEL WHAT: the port, its twin and the log follow the link.
pull_the_cable() {
    set_link "$1"0 off
    expect "$2: the link goes down" lab_wait 10 link_is down
    expect "$2: the twin has no carrier" lab_wait 5 twin_is NO-CARRIER
    set_link "$1"0 on
    expect "$2: the link comes up" lab_wait 10 link_is up
    expect "$2: the twin has its carrier again" lab_wait 5 twin_is LOWER_UP
    expect "$2: the log has both" is "$(grep -c 'port p0: link is' "$LAB_DIR/viaductd.log") >= 2"
    lab_wait 30 all_up || fail "$2: the backends are up after the cable was out"
}
twin_is() { ip -n "$LAB_ID-lb" link show vd-p0 | grep -q "[<,]$1[,>]"; }
all_up() { lab_backend_is 1 up && lab_backend_is 2 up && lab_backend_is 3 up; }

# trial MODEL WORKERS [DRIVER]: all promises of a NIC.
trial() {
    local driver=${3:-uio_pci_generic} what="$1 on ${3:-uio_pci_generic}, $2 worker(s), $LAB_MODE" name=$1-$2-${3:-}
    plug "$1" "$driver"
    configure "$1" "$2" "$([[ $driver == vfio-pci ]] && echo ordinary)"
    start_on "$what"
    carries_calls "$name-1" "$what"
    say "ok    $what: start, ARP, ping, probes, calls"
    if [[ $LAB_MODE == dsr-l2 && -z ${3:-} ]]; then
        pull_the_cable "$1" "$what"
        say "ok    $what: link down and up"
        lab_kill_viaductd
        lab_start_viaductd || fail "$what: viaductd becomes READY after kill -9"
        lab_wait_backends_up || fail "$what: the backends come up after kill -9"
        carries_calls "$name-2" "$what, after kill -9"
        say "ok    $what: kill -9 and restart"
    fi
    lab_stop_viaductd 10 || fail "$what: SIGTERM ends viaductd"
    grep -E "RSS|hash|RX queue|DPDK:|tx_lost" "$LAB_DIR/viaductd.log" | sed 's/^/         /'
    expect "$what: every line has a time: $(grep -vE '^20[0-9-]+T' "$LAB_DIR/viaductd.log")" \
        is "$(grep -cvE '^20[0-9-]+T' "$LAB_DIR/viaductd.log") == 0"
    : >"$LAB_DIR/viaductd.log"
}
# one_queue MODEL: more than one worker is refused where the NIC has one queue.
one_queue() {
    plug "$1" uio_pci_generic
    configure "$1" 2
    case $1 in
    e1000) refused "$1, 2 workers" "claims 2 queues, but this chip has 1: .*lower dataplane.workers to 1" ;;
    *) refused "$1, 2 workers" "has 1 TX queue\(s\), 2 workers need one each; .*mq=on.*lower dataplane.workers to 1" ;;
    esac
}

for mode in dsr-l2 nat; do
    lab_up "$mode"
    lay_cables
    lab_start_backends
    say "the lab for $mode is up"
    for model in "${models[@]}"; do
        if [[ $scope == all || $model == "${models[0]}" ]]; then trial "$model" 1; fi
        if [[ $model == e1000 || $model == virtio ]]; then
            [[ $mode != dsr-l2 ]] || one_queue "$model"
        elif [[ $scope == all ]]; then
            trial "$model" 2
        fi
        if [[ $scope == all && $mode == dsr-l2 ]]; then trial "$model" 1 vfio-pci; fi
        if [[ $mode == dsr-l2 && $model == e1000e ]]; then misbound e1000e; fi
    done
    lab_down
done
