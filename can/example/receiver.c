/* A receiver of tsedge's CAN messages, to start a vehicle's own from (see docs/can.md).
 *
 *     receiver can0              reads a SocketCAN interface, which may come and go
 *     candump -L can0 | receiver -   reads a log, by the times in it
 *
 * A message counts when its CRC fits (AUTOSAR E2E Profile 1) and its counter has moved on. Without a good
 * TSE_Status for 300 ms the unit is dead, and so is the limit it told. */

#include <errno.h>
#include <inttypes.h>
#include <linux/can.h>
#include <linux/can/raw.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { STATUS, SPEED_LIMIT, SIGN, COUNTERS, MESSAGES };

/* As in can/tsedge.dbc. Where other identifiers are configured, change `id`; the data ID stays. */
static const struct {
    const char *name;
    uint32_t id;
    uint16_t data_id;
} MESSAGE[MESSAGES] = {
    [STATUS] = {"TSE_Status", 0x6A0, 0x6A0},
    [SPEED_LIMIT] = {"TSE_SpeedLimit", 0x6A1, 0x6A1},
    [SIGN] = {"TSE_Sign", 0x6A2, 0x6A2},
    [COUNTERS] = {"TSE_Counters", 0x6A3, 0x6A3},
};

static const char *const REASON[] = {"no camera", "stale frames", "dark view", "blurred view", "blocked view",
                                     "frozen view", "overload", "no position", "region stale",
                                     "fallback pack", "pack refused", "output down"};

#define STATUS_TIMEOUT_MS 300
#define COUNTER_VALUES 15 /* 0 to 14 */

/* What is known of the unit. */
static struct {
    bool alive;
    int64_t status_ms;            /* when the last good TSE_Status came */
    int counter[MESSAGES];        /* of the last good message; -1: none yet */
    uint64_t told[MESSAGES];      /* what was printed last, so that only changes are printed */
    uint64_t sign;                /* the last sign, to tell its repeats from the next one */
} unit;

/* Profile 1: polynomial 0x1D from 0, over both bytes of the data ID and all bytes but the first. */
static uint8_t crc(const uint8_t data[8], uint16_t data_id)
{
    uint8_t bytes[9] = {data_id & 0xFF, data_id >> 8};
    uint8_t crc = 0;

    memcpy(bytes + 2, data + 1, 7);
    for (size_t i = 0; i < sizeof bytes; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 0x80 ? (uint8_t)(crc << 1) ^ 0x1D : (uint8_t)(crc << 1);
    }
    return crc;
}

/* A signal by the start and length that the DBC gives: `12|4@1+` is signal(message, 12, 4). */
static unsigned signal(uint64_t message, unsigned start, unsigned length)
{
    return (unsigned)(message >> start & ((1u << length) - 1));
}

static uint64_t little_endian(const uint8_t data[8])
{
    uint64_t message = 0;

    for (int i = 7; i >= 0; i--)
        message = message << 8 | data[i];
    return message;
}

static void forget(void)
{
    unit.alive = false;
    unit.sign = 0;
    for (int i = 0; i < MESSAGES; i++) {
        unit.counter[i] = -1;
        unit.told[i] = UINT64_MAX;
    }
}

static void status(uint64_t m)
{
    static const char *const STATE[] = {"INIT", "NORMAL", "DEGRADED", "FAULT"};
    unsigned state = signal(m, 12, 4), letters[2] = {signal(m, 28, 5), signal(m, 33, 5)};

    printf("status %s", state < 4 ? STATE[state] : "?");
    if (letters[0] && letters[1])
        printf(" region %c%c", 'A' + (int)letters[0] - 1, 'A' + (int)letters[1] - 1);
    else
        printf(" region WORLD");
    for (unsigned i = 0; i < sizeof REASON / sizeof *REASON; i++)
        if (signal(m, 16 + i, 1))
            printf(", %s", REASON[i]);
    if (signal(m, 38, 1))
        printf(", evaluate again");
    printf("\n");
}

static void speed_limit(uint64_t m)
{
    static const char *const STATE[] = {"NONE", "SIGN", "RULE", "ENDED", "EXPIRED", "AMBIGUOUS"};
    unsigned state = signal(m, 12, 4);

    printf("limit %s", state < 6 ? STATE[state] : "NOT_AVAILABLE");
    if (state == 1 || state == 2) /* a value holds in these only */
        printf(" %u %s%s", signal(m, 16, 8), signal(m, 24, 1) ? "mph" : "km/h",
               signal(m, 25, 1) ? ", conditional" : "");
    printf("\n");
}

static void sign(uint64_t m)
{
    static const char *const STEP[] = {"SEEN", "CONFIRMED", "LOST", "?"};
    uint64_t content = m & ~(UINT64_C(0xC000) | 0x0FFF); /* without repeat, counter and CRC */

    if (content == unit.sign) /* each is sent three times */
        return;
    unit.sign = content;
    printf("sign %s class %u", STEP[signal(m, 12, 2)], signal(m, 16, 12));
    if (signal(m, 28, 8) != 255)
        printf(" value %u", signal(m, 28, 8));
    printf(" track %u, %u %%\n", signal(m, 48, 16), signal(m, 36, 7));
}

static void check_timeout(int64_t now_ms)
{
    if (unit.alive && now_ms - unit.status_ms > STATUS_TIMEOUT_MS) {
        printf("dead: no good TSE_Status for %d ms; no limit is known\n", STATUS_TIMEOUT_MS);
        forget();
    }
}

static void message(uint32_t id, const uint8_t data[8], int64_t now_ms)
{
    uint64_t m = little_endian(data), shown;
    int which = 0, counter = (int)signal(m, 8, 4), missed = 0;

    while (which < MESSAGES && MESSAGE[which].id != id)
        which++;
    if (which == MESSAGES)
        return;
    if (data[0] != crc(data, MESSAGE[which].data_id) || counter >= COUNTER_VALUES) {
        printf("%s is damaged\n", MESSAGE[which].name);
        return;
    }
    if (counter == unit.counter[which]) { /* an old one again: no sign of life */
        printf("%s is repeated\n", MESSAGE[which].name);
        return;
    }
    if (unit.counter[which] >= 0)
        missed = (counter - unit.counter[which] + COUNTER_VALUES) % COUNTER_VALUES - 1;
    if (missed > 0)
        printf("%s: %d missed\n", MESSAGE[which].name, missed);
    unit.counter[which] = counter;
    if (which == STATUS) {
        if (!unit.alive)
            printf("alive\n");
        unit.alive = true;
        unit.status_ms = now_ms;
    }
    if (!unit.alive) /* without a status nothing else may be believed */
        return;
    /* What a change of is worth a line: not ages, distances and counters. */
    shown = which == STATUS ? m & UINT64_C(0x0000003FFFFFF000)
          : which == SPEED_LIMIT ? m & UINT64_C(0x0000000003FFF000) : m;
    if (which != SIGN && shown == unit.told[which])
        return;
    unit.told[which] = shown;
    if (which == STATUS)
        status(m);
    else if (which == SPEED_LIMIT)
        speed_limit(m);
    else if (which == SIGN)
        sign(m);
}

/* "(1.234567) can0 6A0#0011223344556677", or with two # and a digit for CAN FD. */
static int read_log(void)
{
    char line[256], text[128];
    double time_s;
    uint32_t id;

    while (fgets(line, sizeof line, stdin)) {
        uint8_t data[8] = {0};
        const char *at = text;
        int bytes = 0;

        if (sscanf(line, " (%lf) %*s %" SCNx32 "#%127s", &time_s, &id, text) != 3)
            continue;
        if (*at == '#') /* FD: flags follow */
            at += 2;
        while (bytes < 8 && sscanf(at, "%2" SCNx8, &data[bytes]) == 1) {
            bytes++;
            at += 2;
        }
        check_timeout((int64_t)(time_s * 1e3));
        if (bytes == 8)
            message(id, data, (int64_t)(time_s * 1e3));
    }
    return 0;
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A socket that gets tsedge's messages only; -1 while there is no such interface. */
static int open_bus(const char *interface)
{
    struct sockaddr_can address = {.can_family = AF_CAN};
    struct can_filter filter[MESSAGES];
    struct ifreq request = {0};
    int fd_frames = 1, bus = socket(PF_CAN, SOCK_RAW, CAN_RAW);

    if (bus < 0)
        return -1;
    for (int i = 0; i < MESSAGES; i++)
        filter[i] = (struct can_filter){MESSAGE[i].id, CAN_SFF_MASK | CAN_EFF_FLAG | CAN_RTR_FLAG};
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", interface);
    setsockopt(bus, SOL_CAN_RAW, CAN_RAW_FILTER, filter, sizeof filter);
    setsockopt(bus, SOL_CAN_RAW, CAN_RAW_FD_FRAMES, &fd_frames, sizeof fd_frames);
    if (ioctl(bus, SIOCGIFINDEX, &request) == 0) {
        address.can_ifindex = request.ifr_ifindex;
        if (bind(bus, (struct sockaddr *)&address, sizeof address) == 0)
            return bus;
    }
    close(bus);
    return -1;
}

static void read_bus(const char *interface)
{
    int bus = -1;

    for (;;) {
        struct canfd_frame frame;
        struct pollfd ready = {.events = POLLIN};
        ssize_t size;

        if (bus < 0)
            bus = open_bus(interface);
        ready.fd = bus; /* negative: poll only waits */
        if (poll(&ready, 1, 50) > 0) {
            size = read(bus, &frame, sizeof frame);
            if (size == CAN_MTU || size == CANFD_MTU) {
                if (frame.len == 8)
                    message(frame.can_id & CAN_SFF_MASK, frame.data, now_ms());
            } else if (size < 0 && errno != EINTR && errno != ENETDOWN) {
                close(bus); /* the interface is gone; it may come back */
                bus = -1;
            }
        }
        check_timeout(now_ms());
        fflush(stdout);
    }
}

int main(int count, char **words)
{
    if (count != 2) {
        fprintf(stderr, "usage: %s INTERFACE, or - to read what candump -L writes\n", words[0]);
        return 2;
    }
    forget();
    if (strcmp(words[1], "-") == 0)
        return read_log();
    read_bus(words[1]);
}
