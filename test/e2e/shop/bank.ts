import { Injectable } from '@nestjs/common';

/** A payment service. Charging twice under one key charges once, as such services have it. */
@Injectable()
export class Bank {
  readonly payments = new Map<string, number>();
  /** How often it does not answer before it does. */
  outages = 0;

  async charge(key: string, amount: number): Promise<string> {
    if (this.outages > 0) {
      this.outages -= 1;
      throw new Error('The bank does not answer.');
    }
    this.payments.set(key, amount);
    return `payment-${key}`;
  }

  async refund(key: string): Promise<void> {
    this.payments.delete(key);
  }
}
