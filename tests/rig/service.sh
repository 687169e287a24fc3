#!/bin/bash
# In the machine: tsedge as the service that is shipped, with a watchdog, a crash and a hang. Facts go to
# facts.txt, the journal to journal.txt.
set -u
modprobe vivid node_types=0x1 num_inputs=1 input_types=0
modprobe vcan; ip link add can0 type vcan; ip link set can0 up
install -D -m644 61-tsedge.rules /etc/udev/rules.d/61-tsedge.rules
udevadm control --reload; udevadm trigger --settle --subsystem-match=video4linux
install -D -m755 tsedge /usr/bin/tsedge
install -D -m644 libonnxruntime.so /usr/lib/tsedge/libonnxruntime.so
mkdir -p /usr/share/tsedge
cp -r models /usr/share/tsedge/models
install -D -m644 tsedge.toml /usr/share/doc/tsedge/tsedge.toml
install -D -m644 tsedge.tmpfiles /usr/lib/tmpfiles.d/tsedge.conf
systemd-tmpfiles --create tsedge.conf
sed -i 's/^size_px.*/size_px = [320, 180]/; s|^# \(folder = "/usr/share/tsedge/models"\)|\1|' /etc/tsedge/tsedge.toml
sed -i 's|^device = "/dev/video0"|device = "/dev/tsedge/camera"|' /etc/tsedge/tsedge.toml
cp tsedge.service /etc/systemd/system/
# The machine is emulated: all takes ten to thirty times longer.
mkdir -p /etc/systemd/system/tsedge.service.d
printf '[Service]\nWatchdogSec=20\nTimeoutStartSec=120\nTimeoutStopSec=20\n' >/etc/systemd/system/tsedge.service.d/emulated.conf
systemctl daemon-reload
fact() { echo "$*" >>facts.txt; }
main_pid() { systemctl show -P MainPID tsedge; }
up() { for _ in $(seq 400); do [ "$(systemctl is-active tsedge)" = active ] && return; sleep 0.1; done; }
fact camera "$(readlink -f /dev/tsedge/camera)"
systemctl start tsedge && fact started "$(main_pid)"
sleep 5
fact user "$(stat -c %U /proc/"$(main_pid)")"
/usr/bin/tsedge run --config /etc/tsedge/tsedge.toml --status >status.txt
fact can "$(timeout 5 candump -L can0 | grep -c ' 6A0#')"
fact exposure "$(systemd-analyze security --no-pager tsedge.service | sed -n 's/.*Overall exposure level for tsedge.service: \([0-9.]*\).*/\1/p')"
systemd-analyze security --no-pager tsedge.service >security.txt
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
