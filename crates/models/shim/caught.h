// Runs an action and turns what it throws into a text: no exception may reach Rust.
#pragma once

#include <cstddef>
#include <cstdio>
#include <exception>

// Returns 0, or 1 with the reason in `error`, ended with a zero.
template <typename Action>
int caught(char* error, std::size_t error_size, Action action) {
    try {
        action();
        return 0;
    } catch (const std::exception& failure) {
        std::snprintf(error, error_size, "%s", failure.what());
    } catch (...) {
        std::snprintf(error, error_size, "unknown failure");
    }
    return 1;
}
