// SPDX-License-Identifier: Apache-2.0
//
// pci_address: the PCI addresses in a port's device, in the kernel's spelling (0000:17:00.0).
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

namespace viaduct {

inline constexpr std::string_view kOfPciAddresses = "0123456789abcdefABCDEF:.";

/// The kernel's spelling of a PCI address, which may have either letter case, no leading zeros, and
/// no domain (then 0). Empty: `text` is not a PCI address.
[[nodiscard]] inline std::string pci_address(std::string_view text) {
    constexpr std::array kMost{0xffff'ffffU, 0xffU, 0x1fU, 7U};
    std::array<unsigned, 4> parts{};
    const char* at = text.data();
    const char* const end = at + text.size();
    for (std::size_t i = std::ranges::count(text, ':') == 2 ? 0 : 1; i < parts.size(); ++i) {
        const auto [next, error] = std::from_chars(at, end, parts[i], 16);
        const bool is_last = i + 1 == parts.size();
        if (error != std::errc() || parts[i] > kMost[i] || (next == end) != is_last) return {};
        if (!is_last && *next != (i + 2 == parts.size() ? '.' : ':')) return {};
        at = is_last ? end : next + 1;
    }
    std::array<char, 24> name{};
    std::snprintf(
        name.data(), name.size(), "%04x:%02x:%02x.%x", parts[0], parts[1], parts[2], parts[3]);
    return name.data();
}

/// All PCI addresses in a device, also those in the arguments of a virtual device.
[[nodiscard]] inline std::vector<std::string> pci_addresses(std::string_view device) {
    std::vector<std::string> found;
    while (!device.empty()) {
        device.remove_prefix(std::min(device.find_first_of(kOfPciAddresses), device.size()));
        std::string_view word = device.substr(0, device.find_first_not_of(kOfPciAddresses));
        device.remove_prefix(word.size());
        word.remove_prefix(std::min(word.find_first_not_of(':'), word.size())); // after "pci:"
        if (std::string address = pci_address(word); !address.empty())
            found.push_back(std::move(address));
    }
    return found;
}

/// DPDK's name of the device: the part before the first comma; for a PCI device the kernel's
/// spelling of its address.
[[nodiscard]] inline std::string device_name(std::string_view device) {
    std::string_view name = device.substr(0, device.find(','));
    std::string address = pci_address(name.starts_with("pci:") ? name.substr(4) : name);
    return address.empty() ? std::string(name) : address;
}

} // namespace viaduct
