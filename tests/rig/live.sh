#!/bin/bash
# In the machine: camera, bus and clock come, go and go wrong while tsedge runs. What happened when goes to
# faults.txt, in seconds of the monotonic clock; what tsedge said goes to events.jsonl.
# usage: live.sh ROUNDS HEARTBEAT_S (how long the quiet bus is listened to)
set -u
modprobe vivid node_types=0x1 num_inputs=1 input_types=0
modprobe vcan
add_can() { ip link add can0 type vcan && ip link set can0 up; }
add_can
./tsedge cameras >cameras.txt
cat >live.toml <<'T'
[camera]
device = "/dev/video0"
size_px = [320, 180]
[can]
interface = "can0"
[jsonl]
path = "events.jsonl"
T
(while :; do candump -L can0; sleep 0.02; done) >can.log 2>/dev/null &
./receiver can0 >receiver.txt & receiver=$!
ORT_DYLIB_PATH=./libonnxruntime.so ./tsedge run --config live.toml --models models --threads 1 &
pid=$!
happened() { echo "$1 $(cut -d' ' -f1 /proc/uptime)" >>faults.txt; }
# Until the newest health event has (or has not) a reason; half a minute at most.
until_told() {
    for _ in $(seq 600); do
        newest=$(grep '"event":"health"' events.jsonl | tail -n 1)
        case $newest in
        *"$1"*) [ "$2" = yes ] && return ;;
        ?*) [ "$2" = no ] && return ;;
        esac
        sleep 0.05
    done
}
camera() { v4l2-ctl -d /dev/video0 --set-ctrl "$1" >>v4l2.txt 2>&1; }
error=$(v4l2-ctl -d /dev/video0 -l | sed -n 's/.*inject_v4l2_buf_flag_error \(0x[0-9a-f]*\).*/\1/p')
# VIDIOC_S_CTRL; starting v4l2-ctl anew each time takes too long here.
damage='open C, "+<", "/dev/video0"; for (;;) { $set = pack "Ii", '$error', 1; ioctl C, 0xc008561c, $set; select undef, undef, undef, 0.1 }'
vivid=/sys/bus/platform/drivers/vivid
until_told no_such_reason no; sleep 3
timeout "$2" candump -L can0 >heartbeat.log
for _ in $(seq "$1"); do
    happened camera_unplugged; echo vivid.0 >$vivid/unbind; until_told no_camera yes; sleep 1
    echo vivid.0 >$vivid/bind; happened camera_back; until_told no_camera no; sleep 1
    # A still picture; moving again.
    happened camera_frozen; camera osd_text_mode=2; until_told frozen_view yes
    camera osd_text_mode=0; happened camera_moves; until_told frozen_view no
    # The driver brings nothing; brings pictures again.
    happened camera_stalls; camera percentage_of_dropped_buffers=100; until_told no_camera yes
    camera percentage_of_dropped_buffers=0; happened camera_works; until_told no_camera no
    # The driver marks pictures as damaged, one each time it is told to.
    happened camera_damages; perl -e "$damage" & damages=$!
    until_told damaged_frames yes
    kill $damages; wait $damages; happened camera_is_good; until_told damaged_frames no
    # Interfaces are back when `ip` has ended: starting it takes its time here.
    happened can_down; ip link set can0 down; until_told output_down yes; sleep 0.5
    ip link set can0 up; happened can_up; until_told output_down no; sleep 0.5
    happened can_gone; ip link del can0; until_told output_down yes; sleep 0.5
    add_can; happened can_back; until_told output_down no; sleep 0.5
    # The wall clock jumps a day ahead and back: nothing may change.
    happened clock_ahead; date -s '+1 day' >>date.txt; sleep 0.5; date -s '-1 day' >>date.txt; sleep 0.5; happened clock_steady
done
happened stop; kill -TERM $pid; wait $pid; echo "exit_code $?" >>faults.txt; sleep 2; kill $receiver
