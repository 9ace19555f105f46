// SPDX-License-Identifier: Apache-2.0
//
// strict_phone: a SIP client and server that report every violation, for the smoke tests.
//
//   strict_phone server --bind IP:PORT --contact IP:PORT --name b1 [--hangup callee] [--hold-ms M]
//   strict_phone client --bind IP:PORT --vip IP:PORT --calls N --rate R [--hangup callee]
//                       [--hold-ms M] [--contact IP:PORT]
//
// In:    UDP datagrams. A call: INVITE, 180, 200, ACK, a re-INVITE in the middle, BYE by --hangup.
// Out:   one line of JSON; every violation on stderr; exit 0 when every call completed without a
//        violation. The server ends after SIGTERM, when its calls have ended or 5 s later, or after
//        --deadline-s.
// It sends to the addresses in Contact and Record-Route, and accepts messages only from the right
// sources. A server reports messages of a call that did not start there, and answers 481 to them.
// Spec:  RFC 3261 §12.2 (dialogs), §13.2.2.4 (ACK), §17.1 (timers; T1 = 500 ms), §18.2.2 (answers).
#include "sip_endpoint.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace viaduct::test {
namespace {

volatile std::sig_atomic_t stop_wanted = 0;

struct Options {
    std::map<std::string, std::string> values;

    [[nodiscard]] bool has(const std::string& name) const { return values.contains(name); }
    std::string text(const std::string& name) const {
        const auto found = values.find(name);
        if (found == values.end()) die("--" + name + " is missing");
        return found->second;
    }
    unsigned number(const std::string& name, unsigned otherwise) const {
        return values.contains(name) ? static_cast<unsigned>(std::atoi(text(name).c_str()))
                                     : otherwise;
    }
    Address address(const std::string& name) const {
        const auto parsed = parse_address(text(name));
        if (!parsed) die("--" + name + " is no IP:PORT: " + text(name));
        return *parsed;
    }
    bool callee_hangs_up() const { return values.contains("hangup") && text("hangup") == "callee"; }
};

class Server : Phone {
public:
    explicit Server(const Options& options)
        : Phone(options.address("bind")), contact_(options.address("contact")),
          name_(options.text("name")), hangs_up_(options.callee_hangs_up()),
          hold_(options.number("hold-ms", 1000)),
          deadline_(Clock::now() + std::chrono::seconds(options.number("deadline-s", 300))) {}

    int run() {
        bool stopping = false;
        while (Clock::now() < deadline_ && (stop_wanted == 0 || ended_ < calls_.size())) {
            receive([this](const Message& message, const Address& from) { take(message, from); });
            const auto now = Clock::now();
            if (stop_wanted != 0 && !std::exchange(stopping, true))
                deadline_ = std::min(deadline_, now + std::chrono::seconds(5));
            for (auto& [id, call] : calls_) {
                repeat_if_due(call.repeat, now);
                if (call.hang_up_at && now >= *call.hang_up_at) hang_up(id, call);
            }
        }
        std::printf("{\"name\":\"%s\",\"begun\":%zu,\"ended\":%u,\"options\":%u,\"foreign\":%u,"
                    "\"retransmissions\":%u,\"violations\":%u}\n",
                    name_.c_str(),
                    calls_.size(),
                    ended_,
                    options_,
                    foreign_,
                    retransmissions_,
                    violations_);
        return violations_ == 0 ? 0 : 1;
    }

private:
    struct Call {
        std::string local;         ///< our To, with tag
        std::string remote;        ///< the caller's From
        std::string contact;       ///< the caller's
        std::string where;         ///< our Contact; in every second call also Record-Route
        unsigned invite = 0;       ///< CSeq of the last INVITE answered
        unsigned acknowledged = 0; ///< CSeq of the last ACK
        std::string invite_answer;
        std::optional<Repeat> repeat;
        std::optional<Clock::time_point> hang_up_at;
        bool ended = false;
    };

    void take(const Message& message, const Address& from) {
        if (message.method == "OPTIONS" && message.status == 0) {
            ++options_;
            return send(answer(message, "200 OK", message.get("To") + ";tag=" + name_), from);
        }
        const std::string what =
            name_ + ": " + (message.status == 0 ? message.method : std::to_string(message.status)) +
            " of call " + message.id() + " from " + to_string(from);
        // The balancer must keep the client's address, otherwise our answers are lost.
        if (message.status == 0 && message.sent_by() != from)
            violation(what + ": Via says otherwise");
        auto call = calls_.find(message.id());
        if (call == calls_.end()) {
            if (message.status == 0 && message.method == "INVITE" &&
                parameter(message.get("To"), "tag").empty())
                call = begin(message);
            else
                return refuse(message, from, what);
        }
        if (message.status != 0)
            answered(message, call->second, what);
        else
            serve(message, from, call->second, what);
    }

    void refuse(const Message& message, const Address& from, const std::string& what) {
        ++foreign_;
        violation(what + ": this server did not begin it");
        if (message.status == 0 && message.method != "ACK")
            send(answer(message, "481 Call/Transaction Does Not Exist", message.get("To")), from);
    }

    std::map<std::string, Call>::iterator begin(const Message& invite) {
        Call call;
        call.local = invite.get("To") + ";tag=" + fresh(name_.c_str());
        call.remote = invite.get("From");
        call.contact = uri_of(invite.get("Contact"));
        const std::string us = to_string(contact_);
        // Every second call looks as if it came through a proxy: only its Record-Route leads back
        // here.
        call.where = calls_.size() % 2 == 0
                         ? "Contact: <sip:" + name_ + "@" + us + ">\r\n"
                         : "Record-Route: <sip:" + us + ";lr>\r\nContact: <sip:" + name_ +
                               "@192.0.2.99:5060>\r\n";
        return calls_.emplace(invite.id(), std::move(call)).first;
    }

    void serve(const Message& request, const Address& from, Call& call, const std::string& what) {
        if (request.method == "INVITE") {
            if (request.cseq < call.invite) return; // an old one, late
            if (request.cseq == call.invite) return send(call.invite_answer, from);
            if (call.ended) return send(answer(request, "481 Call Has Ended", call.local), from);
            call.invite = request.cseq;
            send(answer(request, "180 Ringing", call.local), from);
            call.invite_answer = answer(request, "200 OK", call.local, call.where);
            call.repeat = send_repeatedly(call.invite_answer, from);
        } else if (request.method == "ACK") {
            call.acknowledged = std::max(call.acknowledged, request.cseq);
            // A late ACK does not stop what is repeated now: a newer 200, or our BYE.
            if (request.cseq == call.invite && call.hang_up_at != Clock::time_point::max())
                call.repeat.reset();
            if (hangs_up_ && !call.hang_up_at) call.hang_up_at = Clock::now() + hold_;
        } else if (request.method == "BYE") {
            send(answer(request, "200 OK", call.local), from);
            end(call, what);
        } else {
            violation(what + ": not part of these calls");
        }
    }

    void hang_up(const std::string& id, Call& call) {
        call.hang_up_at = Clock::time_point::max();
        const auto to = address_of_uri(call.contact);
        if (!to) return violation("Contact of the caller is no address: " + call.contact);
        call.repeat = send_repeatedly(
            request("BYE", call.contact, contact_, call.local, call.remote, id, 1), *to);
    }

    void answered(const Message& response, Call& call, const std::string& what) {
        if (response.method != "BYE" || response.cseq != 1 || !hangs_up_)
            return violation(what + ": an answer to nothing");
        if (response.status != 200) violation(what + ": our BYE was refused");
        end(call, what);
    }

    void end(Call& call, const std::string& what) {
        call.repeat.reset();
        call.hang_up_at = Clock::time_point::max();
        if (std::exchange(call.ended, true)) return;
        ++ended_;
        if (call.acknowledged != call.invite)
            violation(what + ": the call ends, and the ACK to its last 200 was never seen");
    }

    Address contact_;
    std::string name_;
    bool hangs_up_;
    milliseconds hold_;
    Clock::time_point deadline_;
    std::map<std::string, Call> calls_;
    unsigned ended_ = 0;
    unsigned options_ = 0;
    unsigned foreign_ = 0;
};

class Client : Phone {
public:
    explicit Client(const Options& options)
        : Phone(options.address("bind")), vip_(options.address("vip")),
          me_(options.has("contact") ? options.address("contact") : self_),
          calls_wanted_(options.number("calls", 1)), hangs_up_(!options.callee_hangs_up()),
          gap_(1'000'000 / std::max(1U, options.number("rate", 10))),
          hold_(options.number("hold-ms", 1000)),
          deadline_(Clock::now() + calls_wanted_ * gap_ +
                    std::chrono::seconds(options.number("deadline-s", 40))),
          local_("<sip:phone@" + to_string(me_) + ">;tag=" + fresh("c")),
          contact_("Contact: <sip:phone@" + to_string(me_) + ">\r\n") {}

    int run() {
        auto next_call = Clock::now();
        while (stop_wanted == 0 && Clock::now() < deadline_ && ended_ < calls_wanted_) {
            receive([this](const Message& message, const Address& from) { take(message, from); });
            for (; calls_.size() < calls_wanted_ && Clock::now() >= next_call; next_call += gap_)
                place();
            const auto now = Clock::now();
            for (auto& [id, call] : calls_) {
                repeat_if_due(call.repeat, now);
                if (now >= call.next_step) step(id, call);
            }
        }
        for (const auto& [id, call] : calls_)
            if (!call.ended)
                violation("call " + id + " did not end: it waits for " + call.waits_for);
        std::printf("{\"calls\":%zu,\"completed\":%u,\"retransmissions\":%u,\"violations\":%u}\n",
                    calls_.size(),
                    completed_,
                    retransmissions_,
                    violations_);
        return violations_ == 0 && completed_ == calls_wanted_ ? 0 : 1;
    }

private:
    struct Call {
        std::string remote; ///< To, with the server's tag once it is known
        std::string target; ///< Request-URI in the dialog: Contact of the server
        std::string route;  ///< "Route: ...\r\n", or empty
        Address next_hop;
        std::string ack;
        unsigned cseq = 0; ///< of our last request: 1 INVITE, 2 re-INVITE, 3 BYE
        std::string method;
        unsigned acknowledged = 0; ///< CSeq of the last ACK
        const char* waits_for = "200 to INVITE";
        std::optional<Repeat> repeat;
        Clock::time_point next_step = Clock::time_point::max();
        bool ended = false;
    };

    void place() {
        const std::string id = fresh("call-") + "@" + to_string(me_);
        Call& call = calls_[id];
        call.target = "sip:callee@" + to_string(vip_);
        call.remote = "<" + call.target + ">";
        call.next_hop = vip_;
        ask(id, call, "INVITE");
    }

    void ask(const std::string& id, Call& call, const char* method) {
        call.method = method;
        ++call.cseq;
        const std::string more = call.route + (call.method == "INVITE" ? contact_ : "");
        call.repeat = send_repeatedly(
            request(method, call.target, me_, local_, call.remote, id, call.cseq, more),
            call.next_hop);
    }

    /// Sends a re-INVITE after the first 200, and the BYE after the second.
    void step(const std::string& id, Call& call) {
        call.next_step = Clock::time_point::max();
        if (call.cseq == 1) {
            call.waits_for = "200 to re-INVITE";
            ask(id, call, "INVITE");
        } else {
            call.waits_for = "200 to BYE";
            ask(id, call, "BYE");
        }
    }

    void take(const Message& message, const Address& from) {
        const std::string what =
            (message.status == 0 ? message.method
                                 : std::to_string(message.status) + " to " + message.method) +
            " of call " + message.id() + " from " + to_string(from);
        if (from != vip_) return violation(what + ": it does not come from the VIP");
        const auto found = calls_.find(message.id());
        if (found == calls_.end()) return violation(what + ": no call of ours");
        Call& call = found->second;
        if (message.status == 0) return serve(message, call, what);
        if (message.sent_by() != me_) return violation(what + ": its Via is not ours");
        const std::string tag = parameter(message.get("To"), "tag");
        const std::string known = parameter(call.remote, "tag");
        if (!known.empty() && tag != known)
            violation(what + ": another server answers in this call");
        if (message.cseq != call.cseq || call.ended) { // repeated: our ACK was lost
            if (message.method == "INVITE" && message.status == 200) send(call.ack, call.next_hop);
            return;
        }
        if (message.status >= 300) {
            end(call);
            violation(what + ": the call failed");
        } else if (message.status < 200) {
            call.repeat.reset();
        } else if (message.method == "INVITE") {
            established(message, call, what);
        } else {
            end(call);
            ++completed_;
        }
    }

    /// Handles a 200 to INVITE: stores the dialog's addresses and sends the ACK (RFC 3261 §12.1.2,
    /// §13.2.2.4).
    void established(const Message& ok, Call& call, const std::string& what) {
        if (call.acknowledged == call.cseq) return send(call.ack, call.next_hop);
        call.acknowledged = call.cseq;
        call.repeat.reset();
        call.remote = ok.get("To");
        call.target = uri_of(ok.get("Contact"));
        std::string next = call.target;
        if (const std::string route = ok.get("Record-Route"); !route.empty()) {
            call.route = "Route: " + route + "\r\n";
            next = uri_of(route);
        }
        const auto to = address_of_uri(next);
        if (!to) return violation(what + ": Contact or Record-Route is no address: " + next);
        call.next_hop = *to;
        call.ack =
            request("ACK", call.target, me_, local_, call.remote, ok.id(), call.cseq, call.route);
        send(call.ack, call.next_hop);
        call.waits_for = "BYE of the server";
        if (call.cseq == 1 || hangs_up_) call.next_step = Clock::now() + hold_ / 2;
    }

    void serve(const Message& request, Call& call, const std::string& what) {
        if (request.method != "BYE" || hangs_up_)
            return violation(what + ": not part of these calls");
        if (request.sent_by() != vip_) violation(what + ": its Via is not the VIP");
        if (address_of_uri(request.uri) != me_) violation(what + ": it is for " + request.uri);
        if (parameter(request.get("From"), "tag") != parameter(call.remote, "tag"))
            violation(what + ": another server ends this call");
        send(answer(request, "200 OK", request.get("To")), vip_);
        if (!call.ended) ++completed_;
        end(call);
    }

    void end(Call& call) {
        call.repeat.reset();
        call.next_step = Clock::time_point::max();
        if (!std::exchange(call.ended, true)) ++ended_;
    }

    Address vip_;
    Address me_; ///< our address as seen by others
    unsigned calls_wanted_;
    bool hangs_up_;
    std::chrono::microseconds gap_;
    milliseconds hold_;
    Clock::time_point deadline_;
    std::string local_;   ///< our From
    std::string contact_; ///< our Contact header
    std::map<std::string, Call> calls_;
    unsigned ended_ = 0;
    unsigned completed_ = 0;
};

int run(int argc, char** argv) {
    Options options;
    for (int i = 2; i < argc; i += 2) {
        if (std::string_view(argv[i]).substr(0, 2) != "--" || i + 1 == argc)
            die(std::string("wants --NAME VALUE, not ") + argv[i]);
        options.values[argv[i] + 2] = argv[i + 1];
    }
    struct sigaction action {};
    action.sa_handler = [](int) { stop_wanted = 1; };
    sigaction(SIGTERM, &action, nullptr);
    const std::string_view role = argc > 1 ? argv[1] : "";
    if (role == "server") return Server(options).run();
    if (role == "client") return Client(options).run();
    die("first word must be server or client; the head of strict_phone.cpp lists the options");
}

} // namespace
} // namespace viaduct::test

int main(int argc, char** argv) {
    return viaduct::test::run(argc, argv);
}
