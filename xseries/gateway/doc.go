// Package gateway has the pages that a payment gateway for Lightspeed Retail X-Series needs.
package gateway
