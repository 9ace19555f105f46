// SPDX-License-Identifier: Apache-2.0
//
// log: one line per event to stderr, by spdlog; control thread only. And the note to systemd.
#pragma once

#include <spdlog/spdlog.h>
#include <string>
#include <string_view>

namespace viaduct {

/// `level`: "debug", "info", "warning" or "error".
void start_log(const std::string& level);
/// Of the running log; `level` as in the configuration.
void set_log_level(const std::string& level);

/// Text of foreign origin made safe for a log line: control and non-ASCII bytes escaped as \xNN,
/// cut at 64 bytes.
[[nodiscard]] std::string printable(std::string_view text);

/// Tells systemd (NOTIFY_SOCKET) `state`, e.g. "READY=1"; does nothing without one. sd_notify(3).
void notify_systemd(std::string_view state) noexcept;

} // namespace viaduct
