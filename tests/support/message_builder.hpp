// SPDX-License-Identifier: Apache-2.0
//
// message_builder: SIP messages for tests: `invite().call_id("a@b").text()`.
//
// Starts with a valid message that has the six mandatory header fields of a request (RFC 3261
// §8.1.1), and changes one thing at a time. Lines stay as written: nothing is checked or repaired.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace viaduct::test {

class MessageBuilder {
public:
    MessageBuilder(std::string first_line, const std::string& method)
        : first_line_(std::move(first_line)) {
        set("Via", "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK776asdhds");
        set("Max-Forwards", "70");
        set("From", "\"Alice\" <sip:alice@example.org>;tag=1928301774");
        set("To", "<sip:bob@example.org>");
        set("Call-ID", "a84b4c76e66710@192.0.2.1");
        set("CSeq", "314159 " + method);
    }

    MessageBuilder& first_line(std::string_view line) { return first_line_ = line, *this; }
    MessageBuilder& call_id(std::string_view value) { return set("Call-ID", value); }
    MessageBuilder& cseq(std::string_view value) { return set("CSeq", value); }
    MessageBuilder& from(std::string_view value) { return set("From", value); }
    MessageBuilder& to(std::string_view value) { return set("To", value); }
    MessageBuilder& to_tag(const std::string& tag) {
        return set("To", "<sip:bob@example.org>;tag=" + tag);
    }
    MessageBuilder& via(std::string_view value) { return set("Via", value); }

    /// Sets the value of the header field with this name, as spelled here.
    MessageBuilder& set(const std::string& name, std::string_view value) {
        return replace(name, name + ": " + std::string(value));
    }
    /// Replaces a header field by a whole line, as spelled by the test.
    MessageBuilder& replace(const std::string& name, std::string line) {
        for (auto& header : headers_)
            if (header.first == name) return header.second = std::move(line), *this;
        headers_.emplace_back(name, std::move(line));
        return *this;
    }
    MessageBuilder& without(const std::string& name) {
        std::erase_if(headers_, [&](const auto& header) { return header.first == name; });
        return *this;
    }
    /// Add a whole line after, or before, all others.
    MessageBuilder& line(std::string text) {
        headers_.emplace_back(std::string(), std::move(text));
        return *this;
    }
    MessageBuilder& line_before(std::string text) {
        headers_.emplace(headers_.begin(), std::string(), std::move(text));
        return *this;
    }
    MessageBuilder& body(std::string_view text) { return body_ = text, *this; }
    MessageBuilder& line_end(std::string_view text) { return line_end_ = text, *this; }
    /// Ends the message after its last header line: no empty line, no body.
    MessageBuilder& no_empty_line() { return empty_line_ = false, *this; }

    [[nodiscard]] std::string text() const {
        std::string text = first_line_ + line_end_;
        for (const auto& header : headers_)
            text += header.second + line_end_;
        if (!empty_line_) return text;
        return text + "Content-Length: " + std::to_string(body_.size()) + line_end_ + line_end_ +
               body_;
    }

private:
    std::string first_line_;
    std::vector<std::pair<std::string, std::string>> headers_; // name for lookup, whole line
    std::string body_;
    std::string line_end_ = "\r\n";
    bool empty_line_ = true;
};

[[nodiscard]] inline MessageBuilder request(const std::string& method) {
    return {method + " sip:bob@198.51.100.10 SIP/2.0", method};
}
[[nodiscard]] inline MessageBuilder invite() {
    return request("INVITE");
}
[[nodiscard]] inline MessageBuilder bye() {
    return request("BYE").to_tag("a6c85cf");
}
[[nodiscard]] inline MessageBuilder response(int status, const std::string& reason) {
    MessageBuilder builder("SIP/2.0 " + std::to_string(status) + " " + reason, "INVITE");
    return builder.to_tag("a6c85cf");
}

} // namespace viaduct::test
