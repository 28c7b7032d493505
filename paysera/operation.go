package paysera

import (
	"net/http"

	"github.com/tillroute/tillroute/internal/rest"
)

// operation is a call of the Wallet API.
type operation int

const (
	serverTime operation = iota
	publicKey
	clientInfo
	tokenAsk
	tokenRevoke
	spotsByCode
	spotsGet
	spotsCheckIn
	spotsCheckOut
	spotsList
	spotsClose
	ordersGet
	ordersCreate
	ordersEdit
	ordersEditNew
	ordersRemove
	codesGet
	transactionsCreate
	transactionsGet
	transactionsList
	transactionsReserve
	transactionsReserveWith
	transactionsConfirm
	transactionsRevoke
	transactionsRenew
	transactionsTypes
	transactionsFlash
	transactionsRequest
	transactionsCancelRequest
	transactionsInquired
	paymentsCreate
	paymentsGet
	paymentsDelete
	paymentsFreeze
	paymentsFinalize
	paymentsList
	locationsList
	locationsOwn
	locationsOfProject
	locationsCategories
)

// root is where the REST API is.
const root = "/rest/v1"

// declare says all that is to be known of an operation before it is made. What moves money or makes something is sent once:
// the API has no key that tells a repetition from a second request.
func (o operation) declare() rest.Operation {
	read := func(name, path string) rest.Operation {
		return rest.Operation{Name: name, Method: http.MethodGet, Path: root + path, Repeat: rest.Read}
	}
	safe := func(name, method, path string) rest.Operation {
		return rest.Operation{Name: name, Method: method, Path: root + path, Repeat: rest.Safe}
	}
	once := func(name, method, path string) rest.Operation {
		return rest.Operation{Name: name, Method: method, Path: root + path}
	}
	switch o {
	case serverTime:
		return read("ServerTime", "/server")
	case publicKey:
		return rest.Operation{Name: "PublicKey", Method: http.MethodGet, Path: "/publickey", Repeat: rest.Read}
	case clientInfo:
		return read("Info", "/client")
	case tokenAsk:
		return rest.Operation{Method: http.MethodPost, Path: "/oauth/v1/token"}
	case tokenRevoke:
		return rest.Operation{Name: "OAuth.Revoke", Method: http.MethodDelete, Path: "/oauth/v1/token", Repeat: rest.Safe}
	case spotsByCode:
		return read("Spots.ByCode", "/spot")
	case spotsGet:
		return read("Spots.Get", "/spot/{}")
	case spotsCheckIn:
		return safe("Spots.CheckIn", http.MethodPut, "/spot/{}/check-in")
	case spotsCheckOut:
		return safe("Spots.CheckOut", http.MethodPut, "/spot/{}/check-out")
	case spotsList:
		return read("Spots.List", "/spots")
	case spotsClose:
		return safe("Spots.Close", http.MethodPut, "/spot/{}/close")
	case ordersGet:
		return read("Orders.Get", "/order/{}")
	case ordersCreate:
		return once("Orders.Create", http.MethodPost, "/spot/{}/order")
	case ordersEdit:
		return safe("Orders.Edit", http.MethodPut, "/order/{}")
	case ordersEditNew:
		// Each time it makes a transaction.
		return once("Orders.Edit", http.MethodPut, "/order/{}")
	case ordersRemove:
		return safe("Orders.Remove", http.MethodDelete, "/order/{}")
	case codesGet:
		return read("Codes.Get", "/code")
	case transactionsCreate:
		return once("Transactions.Create", http.MethodPost, "/transaction")
	case transactionsGet:
		return read("Transactions.Get", "/transaction/{}")
	case transactionsList:
		return read("Transactions.List", "/transactions")
	case transactionsReserve:
		return once("Transactions.Reserve", http.MethodPut, "/transaction/{}/reserve")
	case transactionsReserveWith:
		return once("Transactions.Reserve", http.MethodPut, "/transaction/{}/reserve/{}")
	case transactionsConfirm:
		return once("Transactions.Confirm", http.MethodPut, "/transaction/{}/confirm")
	case transactionsRevoke:
		return safe("Transactions.Revoke", http.MethodDelete, "/transaction/{}")
	case transactionsRenew:
		return once("Transactions.Renew", http.MethodPost, "/transaction/renew/{}")
	case transactionsTypes:
		return read("Transactions.Types", "/transaction/{}/type/{}")
	case transactionsFlash:
		return once("Transactions.Flash", http.MethodPut, "/transaction/{}/flash/{}")
	case transactionsRequest:
		return once("Transactions.Request", http.MethodPost, "/transaction/{}/request")
	case transactionsCancelRequest:
		return safe("Transactions.CancelRequest", http.MethodDelete, "/transaction-request/{}")
	case transactionsInquired:
		return read("Transactions.InquiredInformation", "/transaction/{}/inquired-information")
	case paymentsCreate:
		return once("Payments.Create", http.MethodPost, "/payment")
	case paymentsGet:
		return read("Payments.Get", "/payment/{}")
	case paymentsDelete:
		return safe("Payments.Delete", http.MethodDelete, "/payment/{}")
	case paymentsFreeze:
		return once("Payments.Freeze", http.MethodPut, "/payment/{}/freeze")
	case paymentsFinalize:
		return once("Payments.Finalize", http.MethodPut, "/payment/{}/finalize")
	case paymentsList:
		return read("Payments.List", "/payments")
	case locationsList:
		return read("Locations.List", "/locations")
	case locationsOwn:
		return read("Locations.Own", "/client/locations")
	case locationsOfProject:
		return read("Locations.OfProject", "/project/{}/locations")
	case locationsCategories:
		return read("Locations.Categories", "/locations/pay-categories")
	default:
		return rest.Operation{}
	}
}
