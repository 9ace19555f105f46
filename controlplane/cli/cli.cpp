// SPDX-License-Identifier: Apache-2.0
//
// cli: the control socket: clients, lines, permission, and the dispatcher of verbs.
//
// In:    lines of local clients. Hostile: any bytes, any length, any pace.
// Out:   text or one JSON object, then `OK` or `ERR reason`; no control characters for terminals.
// Cost:  control thread; one request of one client per turn of the loop, so that no client waits
//        long.
// Spec:  unix(7) (SO_PEERCRED, stale sockets).

#include "cli/cli.hpp"

#include "cli/text.hpp"
#include "log.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <grp.h>
#include <pwd.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

namespace viaduct {

namespace {

constexpr std::size_t kReadAtOnce = 16'384;
constexpr int kAcceptsAtOnce = 16;
constexpr int kBacklog = 64;

// ---- one request

std::vector<std::string> split(std::string_view line) {
    std::vector<std::string> words;
    while (true) {
        line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
        if (line.empty()) return words;
        const std::size_t length = std::min(line.find_first_of(" \t"), line.size());
        words.emplace_back(line.substr(0, length));
        line.remove_prefix(length);
    }
}

bool has_control_character(std::string_view line) {
    return std::ranges::any_of(
        line, [](unsigned char c) { return (c < 0x20 && c != '\t') || c == 0x7f; });
}

/// Removes the words of the longest matching verb from the front of `words`.
const Verb& take_verb(std::vector<std::string>& words) {
    for (std::size_t count = std::min<std::size_t>(2, words.size()); count > 0; --count) {
        const std::string name = count == 2 ? words[0] + " " + words[1] : words[0];
        const auto found = std::ranges::find(verbs(), name, &Verb::name);
        if (found == verbs().end()) continue;
        words.erase(words.begin(), words.begin() + static_cast<std::ptrdiff_t>(count));
        return *found;
    }
    std::string known;
    for (const Verb& verb : verbs())
        known.append(known.empty() ? "" : ", ").append(verb.name);
    const bool alone = words.size() == 1 || words[0] != "show";
    throw Error("unknown verb \"" + printable(alone ? words[0] : words[0] + " " + words[1]) +
                "\"; verbs: " + known);
}

void check_count(const Verb& verb, std::size_t count) {
    if (count >= verb.min_arguments && count <= verb.max_arguments) return;
    std::string usage(verb.name);
    if (!verb.arguments.empty()) usage.append(" ").append(verb.arguments);
    throw Error((count < verb.min_arguments ? "too few" : "too many") +
                std::string(" arguments; usage: ") + usage);
}

void check_permission(const Verb& verb, const Control& control, const Peer& peer) {
    if (!verb.changes || may_change(control.admins, peer)) return;
    std::string names;
    for (const std::string& name : control.config.admins)
        names.append(names.empty() ? "" : ", ").append(name);
    throw Error("only root and admins (" + names + ") may do this; you are uid " +
                std::to_string(peer.uid));
}

std::string run_request(Control& control, const Peer& peer, std::string_view line) {
    if (has_control_character(line)) throw Error("the request contains a control character");
    std::vector<std::string> words = split(line);
    const bool json = !words.empty() && words[0] == "json";
    if (json) words.erase(words.begin());
    if (words.empty()) throw Error("the request is empty; try: help");

    const Verb& verb = take_verb(words);
    check_count(verb, words.size());
    check_permission(verb, control, peer);
    Reply reply;
    verb.handler(control, words, reply);
    if (verb.changes) {
        std::string what(verb.name);
        for (const std::string& word : words)
            what.append(" ").append(printable(word));
        spdlog::info("{} by uid {}, pid {}", what, peer.uid, peer.pid);
    }

    using Json = nlohmann::ordered_json;
    std::string out =
        json ? reply.json.dump(-1, ' ', true, Json::error_handler_t::replace)
             : terminal_text(reply.text.empty() ? to_table(reply.json) : reply.text, true);
    if (!out.ends_with('\n')) out += '\n';
    if (out.size() > CliServer::kMaxReply) throw Error("the answer is longer than 4 MiB");
    return out + "OK\n";
}

// ---- permission to make changes

/// Calls getpwnam_r or getgrnam_r with a buffer that grows as needed, and `use` with the entry. A
/// failing name service finds nothing, so it permits nothing.
template <typename Entry, typename Find, typename Use> bool find_entry(Find find, Use use) {
    for (std::size_t size = 1024; size <= 1'048'576; size *= 4) {
        std::vector<char> buffer(size);
        Entry entry{};
        Entry* found = nullptr;
        const int error = find(&entry, buffer.data(), buffer.size(), &found);
        if (error == ERANGE) continue;
        if (error != 0 || found == nullptr) return false;
        use(entry);
        return true;
    }
    return false;
}

// ---- the socket

std::string reason(int error) {
    return std::strerror(error);
}

sockaddr_un address_of(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof address.sun_path)
        throw Error("control.socket: \"" + path + "\" is not 1 to " +
                    std::to_string(sizeof address.sun_path - 1) + " bytes long");
    std::copy(path.begin(), path.end(), address.sun_path);
    return address;
}

int call_on(int (*call)(int, const sockaddr*, socklen_t), int fd, const sockaddr_un& address) {
    sockaddr generic[(sizeof address + sizeof(sockaddr) - 1) / sizeof(sockaddr)]{};
    std::memcpy(generic, &address, sizeof address);
    return call(fd, generic, sizeof address);
}

Peer peer_of(int fd) {
    ucred credentials{};
    socklen_t length = sizeof credentials;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0)
        return {~0U, ~0U, 0, {}}; // unknown user: may read, may change nothing
    std::vector<unsigned> groups(64);
    for (int tries = 0; tries < 2; ++tries) { // the kernel reports the number of groups
        length = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
        const bool all = getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &length) == 0;
        const bool more = !all && errno == ERANGE;
        groups.resize(all || more ? length / sizeof(gid_t) : 0);
        if (!more) break;
    }
    return {credentials.uid, credentials.gid, credentials.pid, std::move(groups)};
}

/// Removes the socket of a killed predecessor at `path`. Throws when that process is running, or
/// the file is not a socket.
void remove_stale(const std::string& path, const sockaddr_un& address) {
    struct stat status {};
    if (lstat(path.c_str(), &status) != 0) return;
    if (!S_ISSOCK(status.st_mode))
        throw Error(path + " exists and is not a socket; remove it or set control.socket");
    const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (probe < 0) throw Error("cannot create a socket: " + reason(errno));
    const int error = call_on(::connect, probe, address) == 0 ? 0 : errno;
    const int pid = peer_of(probe).pid;
    close(probe);
    if (error == ENOENT) return;
    if (error == ECONNREFUSED) {
        if (unlink(path.c_str()) != 0 && errno != ENOENT)
            throw Error("cannot remove the stale socket " + path + ": " + reason(errno));
        return;
    }
    if (error != 0 && error != EAGAIN)
        throw Error("socket " + path + ": " + reason(error) + "; remove it or set control.socket");
    throw Error("socket " + path + " is in use by a running process" +
                (error == 0 ? " (pid " + std::to_string(pid) + ")" : std::string()) +
                "; stop it or set control.socket");
}

} // namespace

std::string answer(Control& control, const Peer& peer, std::string_view line) {
    if (line.ends_with('\r')) line.remove_suffix(1);
    try {
        return run_request(control, peer, line);
    } catch (const std::exception& problem) { // Error is the operator's; any other is a bug of ours
        return "ERR " + terminal_text(problem.what()) + "\n";
    }
}

Admins find_admins(const std::vector<std::string>& names) {
    Admins admins;
    for (const std::string& name : names) {
        const bool found =
            find_entry<passwd>([&](auto... rest) { return getpwnam_r(name.c_str(), rest...); },
                               [&](const passwd& user) { admins.users.push_back(user.pw_uid); }) ||
            find_entry<group>([&](auto... rest) { return getgrnam_r(name.c_str(), rest...); },
                              [&](const group& one) { admins.groups.push_back(one.gr_gid); });
        if (!found)
            throw Error("control.admins: \"" + printable(name) +
                        "\" is neither a user nor a group on this machine; fix or remove it");
    }
    return admins;
}

bool may_change(const Admins& admins, const Peer& peer) {
    const auto holds = [](const std::vector<unsigned>& ids, unsigned id) {
        return std::ranges::find(ids, id) != ids.end();
    };
    return peer.uid == 0 || peer.uid == geteuid() || holds(admins.users, peer.uid) ||
           holds(admins.groups, peer.gid) ||
           std::ranges::any_of(peer.groups, [&](unsigned id) { return holds(admins.groups, id); });
}

// ---- the server

void make_socket_folder(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    if (slash == std::string::npos || slash == 0) return;
    const std::string folder = path.substr(0, slash);
    if (mkdir(folder.c_str(), 0755) == 0)
        chmod(folder.c_str(), 0755); // whatever the umask
    else if (errno != EEXIST)
        throw Error("cannot create the folder of the socket " + path + ": " + reason(errno) +
                    "; create it or set control.socket");
}

struct CliServer::Client {
    Peer peer;
    std::string in;           ///< read and not yet answered; at most a line and one read
    std::size_t searched = 0; ///< bytes of `in` without a line feed
    std::string out;          ///< the answer being sent; requests wait until it is sent
    std::size_t sent = 0;     ///< bytes of `out` that the kernel accepted
    bool ended = false;       ///< the client has sent everything
    bool closing = false;     ///< close when `out` is sent
    TimePoint since;          ///< last progress: connected, took bytes, was answered

    /// Takes the next complete line, without its line feed. Returns false when there is none.
    bool take_line(std::string& line) {
        const std::size_t end = in.find('\n', searched);
        searched = in.size();
        if (end == std::string::npos) return false;
        line = in.substr(0, end);
        in.erase(0, end + 1);
        searched = 0;
        return true;
    }
    void say(std::string text) {
        out = std::move(text);
        sent = 0;
    }
};

CliServer::CliServer(std::string path, Loop& loop) : path_(std::move(path)), loop_(loop) {
    listen_on_path();
}

void CliServer::start(Control& control) {
    control_ = &control;
    loop_.watch(listener_, EPOLLIN, [this](std::uint32_t) { accept_clients(); });
    ticker_ = loop_.every(std::chrono::seconds(1), [this](TimePoint now) { close_idle(now); });
}

void CliServer::listen_on_path() {
    const sockaddr_un address = address_of(path_);
    make_socket_folder(path_);
    remove_stale(path_, address);
    listener_ = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener_ < 0) throw Error("cannot create a socket: " + reason(errno));
    struct stat status {};
    const bool bound = call_on(::bind, listener_, address) == 0;
    if (!bound || chmod(path_.c_str(), 0666) != 0 || listen(listener_, kBacklog) != 0 ||
        stat(path_.c_str(), &status) != 0) {
        const int error = errno;
        close(listener_);
        if (bound) unlink(path_.c_str());
        throw Error("cannot listen on socket " + path_ + ": " + reason(error) +
                    "; set control.socket");
    }
    device_ = status.st_dev;
    inode_ = status.st_ino;
}

CliServer::~CliServer() {
    while (!clients_.empty())
        close_client(clients_.begin()->first);
    loop_.forget(listener_);
    struct stat status {};
    if (lstat(path_.c_str(), &status) == 0 && status.st_dev == device_ && status.st_ino == inode_)
        unlink(path_.c_str());
    close(listener_);
}

void CliServer::accept_clients() {
    for (int i = 0; i < kAcceptsAtOnce; ++i) {
        const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            // Out of descriptors: the listener stays ready, so ignore it until the next tick.
            if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
                loop_.change(listener_, 0);
            return;
        }
        const Peer peer = peer_of(fd);
        const bool ours = may_change(control_->admins, peer);
        if (clients_.size() >= (ours ? kMaxClients : kMaxClients - kReservedClients)) {
            constexpr std::string_view kFull = "ERR too many clients\n";
            send(fd, kFull.data(), kFull.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
            close(fd);
            continue;
        }
        auto client = std::make_unique<Client>();
        client->peer = peer;
        client->since = Clock::now();
        clients_[fd] = std::move(client);
        loop_.watch(fd, EPOLLIN, [this, fd](std::uint32_t) { serve(fd); });
    }
}

/// Does one step: sends the pending answer, otherwise answers one complete line, otherwise reads
/// once.
void CliServer::serve(int fd) {
    Client& client = *clients_.at(fd);
    std::string line;
    if (client.out.empty() && !client.closing) {
        bool found = client.take_line(line);
        if (!found && !client.ended && client.in.size() <= kMaxLine) {
            std::array<char, kReadAtOnce> buffer;
            const ssize_t got = recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
            if (got < 0 && errno != EAGAIN && errno != EINTR) return close_client(fd);
            if (got > 0) client.in.append(buffer.data(), static_cast<std::size_t>(got));
            client.ended = got == 0;
            found = client.take_line(line);
        }
        if ((found ? line : client.in).size() > kMaxLine) {
            client.say("ERR the request is longer than " + std::to_string(kMaxLine) + " bytes\n");
            client.closing = true;
        } else if (found) {
            client.say(answer(*control_, client.peer, line));
            client.since = Clock::now();
        } else if (client.ended) {
            // An incomplete line is not a request: "drain a b1" may be the start of "drain a b12".
            if (!client.in.empty()) client.say("ERR the request does not end with a line feed\n");
            client.closing = true;
        }
    }
    while (client.sent < client.out.size()) {
        const ssize_t took = send(fd,
                                  client.out.data() + client.sent,
                                  client.out.size() - client.sent,
                                  MSG_NOSIGNAL | MSG_DONTWAIT);
        if (took < 0 && errno == EINTR) continue;
        if (took < 0 && errno == EAGAIN) return loop_.change(fd, EPOLLOUT);
        if (took < 0) return close_client(fd);
        client.sent += static_cast<std::size_t>(took);
        client.since = Clock::now();
    }
    client.out = {}; // frees the memory of a long answer
    if (client.closing) return close_client(fd);
    // A writable socket triggers at once, for the next complete line or the end.
    const bool more = client.ended || client.in.find('\n', client.searched) != std::string::npos;
    loop_.change(fd, more ? EPOLLOUT : EPOLLIN);
}

void CliServer::close_idle(TimePoint now) {
    std::vector<int> over;
    for (const auto& [fd, client] : clients_)
        if (now - client->since > (client->out.empty() ? kIdleLimit : kUnreadLimit))
            over.push_back(fd);
    for (const int fd : over)
        close_client(fd);
    loop_.change(listener_, EPOLLIN); // accept_clients() may have disabled it
}

void CliServer::close_client(int fd) {
    loop_.forget(fd);
    clients_.erase(fd);
    close(fd);
}

} // namespace viaduct
