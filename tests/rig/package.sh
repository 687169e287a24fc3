#!/bin/bash
# In the machine: the packages are installed, upgraded under a unit at work, removed, and purged. Facts go to
# facts.txt, the journal to journal.txt.
set -u
. ./package-lib.sh
config=/etc/tsedge/tsedge.toml events=/var/log/private/tsedge/events.jsonl own=/var/lib/tsedge/packs/DE.safetensors
is() { "$@" >/dev/null 2>&1 && echo yes || echo no; }
install_packages ./tsedge.deb ./tsedge-onnxruntime.deb
fact fresh_active "$(systemctl is-active tsedge)"
fact manual "$(is test -s /usr/share/man/man1/tsedge-run.1.gz)" "$(is bash -n /usr/share/bash-completion/completions/tsedge)"
sed -i 's/^# fixed = "DE"/fixed = "DE"/' $config
systemctl enable -q tsedge; systemctl start tsedge; sleep 3
# A pack of the owner's goes to the state folder, and is live while the unit runs.
tsedge region install own.safetensors --config $config >installed.txt 2>&1
sleep 5
fact pack_live "$(grep -c '"pack_version":"own"' $events)"
fact memory_kb "$(sed -n 's/^VmHWM:[[:space:]]*\([0-9]*\).*/\1/p' /proc/"$(main_pid)"/status)"

before=$(main_pid); sum=$(sha256sum <$own)
install_packages ./tsedge-next.deb; up; sleep 3
fact upgraded "$before" "$(main_pid)" "$(systemctl is-active tsedge)"
fact upgraded_version "$(dpkg-query -W -f '${Version}' tsedge)"
fact upgraded_pack "$([ "$sum" = "$(sha256sum <$own)" ] && echo same)"
fact upgraded_config "$(is grep -q '^fixed = "DE"' $config)"
fact upgraded_uses "$(tail -n 40 $events | grep -c '"pack_version":"own"')"
fact upgraded_can "$(timeout 5 candump -L can0 | grep -c ' 6A0#')"

dpkg -r tsedge >>dpkg.txt 2>&1
fact removed "$(main_pid)" "$(is test -e /usr/bin/tsedge)" "$(is test -e $own)" "$(is test -e $config)" "$(is test -s $events)"
install_packages ./tsedge-next.deb; systemctl start tsedge
fact again "$(systemctl is-active tsedge)" "$(systemctl is-enabled tsedge)" "$(is test -e $own)"

dpkg -P tsedge >>dpkg.txt 2>&1
fact purged "$(systemctl is-active tsedge)" "$(find /etc/tsedge /var/lib/tsedge /var/lib/private/tsedge /var/log/tsedge /var/log/private/tsedge \
    /usr/bin/tsedge /usr/share/tsedge /usr/lib/systemd/system/tsedge.service /etc/systemd/system/multi-user.target.wants/tsedge.service 2>/dev/null | wc -l)"
fact runtime_left "$(is test -e /usr/lib/tsedge/libonnxruntime.so)"
dpkg -P tsedge-onnxruntime >>dpkg.txt 2>&1
fact all_gone "$(dpkg-query -l 'tsedge*' 2>/dev/null | grep -c '^ii')"
journalctl -u tsedge --no-pager -o cat >journal.txt
