export default { async email(message) { message.setReject("unknown"); } };
