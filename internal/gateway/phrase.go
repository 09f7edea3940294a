package gateway

import "net/http"

// phraseOf names a status as the registry does. For some net/http has the names of older documents, which no RFC has any more.
func phraseOf(status int) string {
	switch status {
	case 104:
		return "Upload Resumption Supported"
	case http.StatusRequestEntityTooLarge:
		return "Content Too Large"
	case http.StatusRequestURITooLong:
		return "URI Too Long"
	case http.StatusRequestedRangeNotSatisfiable:
		return "Range Not Satisfiable"
	case http.StatusUnprocessableEntity:
		return "Unprocessable Content"
	}
	return http.StatusText(status)
}
