#!/bin/bash
# In the machine: tsedge as the service of the package, with a watchdog, crashes, hangs, too little memory and
# real-time priorities. Facts go to facts.txt, the journal to journal.txt.
# usage: service.sh ROUNDS
set -u
. ./package-lib.sh
install_packages ./tsedge.deb ./tsedge-onnxruntime.deb
sed -i 's|^device = "/dev/video0"|device = "/dev/tsedge/camera"|' /etc/tsedge/tsedge.toml
fact camera "$(readlink -f /dev/tsedge/camera)"
systemctl start tsedge && fact started "$(main_pid)"
sleep 5
fact user "$(stat -c %U /proc/"$(main_pid)")"
/usr/bin/tsedge run --config /etc/tsedge/tsedge.toml --status >status.txt
fact can "$(timeout 5 candump -L can0 | grep -c ' 6A0#')"
exposure() { systemd-analyze security --no-pager tsedge.service | sed -n 's/.*Overall exposure level for tsedge.service: \([0-9.]*\).*/\1/p'; }
fact exposure "$(exposure)"
systemd-analyze security --no-pager tsedge.service >security.txt
fact memory_kb "$(sed -n 's/^VmHWM:[[:space:]]*\([0-9]*\).*/\1/p' /proc/"$(main_pid)"/status)"

seconds() { cut -d' ' -f1 /proc/uptime; }
gone() { for _ in $(seq 600); do [ "$(main_pid)" != "$1" ] && return; sleep 0.1; done; }
memory_most() { systemctl set-property --runtime tsedge MemoryMax="$1"; }
# FAULT COMMAND...: the process before and after it, seconds until it had ended, and until the new one was ready.
restarts() {
    local name=$1 before began ended
    shift
    # As if a minute had passed: the limit of restarts is not what is tried here.
    systemctl reset-failed tsedge
    before=$(main_pid) began=$(seconds)
    "$@"
    gone "$before"; ended=$(seconds); memory_most 512M; up
    fact "$name" "$before" "$(main_pid)" "$began" "$ended" "$(seconds)"
    sleep 3
}
for _ in $(seq "${1:-1}"); do
    restarts after_kill eval 'kill -KILL "$(main_pid)"'
    # A unit that hangs feeds no watchdog.
    restarts after_hang eval 'kill -STOP "$(main_pid)"'
    restarts after_hunger memory_most 16M
done

# Cores and priorities that the drop-in allows.
cp realtime.conf /etc/systemd/system/tsedge.service.d/
printf '[threads]\ncapture = { fifo = 60 }\nrecognise = { cores = [1], fifo = 50 }\n' >>/etc/tsedge/tsedge.toml
systemctl daemon-reload; systemctl restart tsedge; up
fact realtime_active "$(systemctl is-active tsedge)"
for task in /proc/"$(main_pid)"/task/*; do
    fact "realtime_$(cat "$task"/comm)" "$(chrt -p "${task##*/}" | sed 's/.*: //' | tr '\n' ' ')" "$(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' "$task"/status)"
done
fact realtime_exposure "$(exposure)"
sleep 3
systemctl stop tsedge; fact result "$(systemctl show -P Result tsedge)" "$(systemctl is-active tsedge)"
tail -n 1 /var/log/private/tsedge/events.jsonl >last_event.txt
journalctl -u tsedge --no-pager -o cat >journal.txt
