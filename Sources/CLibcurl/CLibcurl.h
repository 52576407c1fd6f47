#pragma once
#include <curl/curl.h>

// libcurl's option setters are variadic, which Swift cannot call: one inline wrapper for each argument type.

static inline CURLcode trainyard_curl_set_long(CURL *handle, CURLoption option, long value) {
    return curl_easy_setopt(handle, option, value);
}

static inline CURLcode trainyard_curl_set_string(CURL *handle, CURLoption option, const char *value) {
    return curl_easy_setopt(handle, option, value);
}

static inline CURLcode trainyard_curl_set_pointer(CURL *handle, CURLoption option, const void *value) {
    return curl_easy_setopt(handle, option, value);
}

static inline CURLcode trainyard_curl_set_offset(CURL *handle, CURLoption option, curl_off_t value) {
    return curl_easy_setopt(handle, option, value);
}

typedef size_t (*trainyard_curl_data_callback)(char *data, size_t size, size_t count, void *context);

static inline CURLcode trainyard_curl_set_data_callback(
    CURL *handle, CURLoption option, trainyard_curl_data_callback value) {
    return curl_easy_setopt(handle, option, value);
}

static inline CURLcode trainyard_curl_get_long(CURL *handle, CURLINFO info, long *value) {
    return curl_easy_getinfo(handle, info, value);
}

static inline CURLcode trainyard_curl_get_pointer(CURL *handle, CURLINFO info, void **value) {
    return curl_easy_getinfo(handle, info, value);
}

static inline CURLMcode trainyard_curl_multi_set_long(CURLM *handle, CURLMoption option, long value) {
    return curl_multi_setopt(handle, option, value);
}

typedef int (*trainyard_curl_seek_callback)(void *context, curl_off_t offset, int origin);

static inline CURLcode trainyard_curl_set_seek_callback(CURL *handle, trainyard_curl_seek_callback value) {
    return curl_easy_setopt(handle, CURLOPT_SEEKFUNCTION, value);
}

/* libcurl keeps a copy of the bytes. */
static inline CURLcode trainyard_curl_set_blob(CURL *handle, CURLoption option, const void *bytes, size_t count) {
    struct curl_blob blob = {(void *)bytes, count, CURL_BLOB_COPY};
    return curl_easy_setopt(handle, option, &blob);
}

/* How many seconds a file of authorities is kept in memory. Before 7.87 libcurl reads it for each connection. */
static inline CURLcode trainyard_curl_set_authority_cache(CURL *handle, long seconds) {
#if LIBCURL_VERSION_NUM >= 0x075700
    return curl_easy_setopt(handle, CURLOPT_CA_CACHE_TIMEOUT, seconds);
#else
    (void)handle;
    (void)seconds;
    return CURLE_OK;
#endif
}

typedef struct {
    CURL *handle;
    CURLcode result;
} trainyard_curl_completion;

/* The next finished transfer; its handle is NULL when there is none. CURLMsg's union is awkward in Swift. */
static inline trainyard_curl_completion trainyard_curl_next_completion(CURLM *multi) {
    trainyard_curl_completion completion = {NULL, CURLE_OK};
    int left = 0;
    CURLMsg *message;
    while ((message = curl_multi_info_read(multi, &left)) != NULL) {
        if (message->msg == CURLMSG_DONE) {
            completion.handle = message->easy_handle;
            completion.result = message->data.result;
            break;
        }
    }
    return completion;
}
