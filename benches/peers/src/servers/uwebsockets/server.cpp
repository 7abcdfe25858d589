// uWebSockets as its example shows it, without TLS and compression: an echo, or a message to all
// others. Says where it listens, and serves until it is killed.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "App.h"

namespace {

struct Nothing {};

using Socket = uWS::WebSocket<false, true, Nothing>;

constexpr auto ROOM = "room";

// Its own limit is 16 KiB; the rows go to 16 MiB.
constexpr unsigned LONGEST_MESSAGE = 64u << 20;

}  // namespace

// Usage: server echo|broadcast HOST PORT
int main(int count, char **arguments) {
    if (count != 4) return 2;
    const bool echoes = std::string_view(arguments[1]) == "echo";
    const std::string host = arguments[2];
    const int port = std::atoi(arguments[3]);

    uWS::App::WebSocketBehavior<Nothing> behavior;
    behavior.compression = uWS::DISABLED;
    behavior.maxPayloadLength = LONGEST_MESSAGE;
    behavior.maxBackpressure = LONGEST_MESSAGE;
    if (echoes) {
        behavior.message = [](Socket *socket, std::string_view message, uWS::OpCode opcode) {
            socket->send(message, opcode);
        };
    } else {
        behavior.open = [](Socket *socket) { socket->subscribe(ROOM); };
        behavior.message = [](Socket *socket, std::string_view message, uWS::OpCode opcode) {
            socket->publish(ROOM, message, opcode);
        };
    }

    uWS::App().ws<Nothing>("/*", std::move(behavior)).listen(host, port, [&](auto *listening) {
        if (listening == nullptr) {
            std::fprintf(stderr, "cannot listen on %s:%d\n", host.c_str(), port);
            std::exit(1);
        }
        const int bound = us_socket_local_port(0, reinterpret_cast<us_socket_t *>(listening));
        std::printf("listening on %s:%d\n", host.c_str(), bound);
        std::fflush(stdout);
    }).run();
}
