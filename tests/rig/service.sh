#!/bin/bash
# In the machine: tsedge as the service of the package, with a watchdog, a crash and a hang. Facts go to
# facts.txt, the journal to journal.txt.
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
fact exposure "$(systemd-analyze security --no-pager tsedge.service | sed -n 's/.*Overall exposure level for tsedge.service: \([0-9.]*\).*/\1/p')"
systemd-analyze security --no-pager tsedge.service >security.txt
fact memory_kb "$(sed -n 's/^VmHWM:[[:space:]]*\([0-9]*\).*/\1/p' /proc/"$(main_pid)"/status)"
before=$(main_pid); kill -KILL "$before"; sleep 1; up
fact after_kill "$before" "$(main_pid)"
sleep 3
# A unit that hangs feeds no watchdog.
before=$(main_pid); kill -STOP "$before"; sleep 30; up
fact after_hang "$before" "$(main_pid)"
sleep 3
systemctl stop tsedge; fact result "$(systemctl show -P Result tsedge)" "$(systemctl is-active tsedge)"
tail -n 1 /var/log/private/tsedge/events.jsonl >last_event.txt
journalctl -u tsedge --no-pager -o cat >journal.txt
